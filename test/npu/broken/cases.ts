/** All graphs that are broken on purpose, by provider. */
import type { ProviderTable, Target } from '../../../src/index.js';
import type { BrokenCase } from './case.js';
import { coremlCases } from './coreml-cases.js';
import { litertCases } from './litert-cases.js';
import { nnapiCases } from './nnapi-cases.js';
import { qnnCases } from './qnn-cases.js';
import { xnnpackCases } from './xnnpack-cases.js';

const CASES: Readonly<Record<ProviderTable['provider'], readonly BrokenCase[]>> = {
  coreml: coremlCases,
  litert: litertCases,
  nnapi: nnapiCases,
  qnn: qnnCases,
  xnnpack: xnnpackCases,
};

/** Those for a target; none where it has no provider. */
export const casesFor = ({ name, provider }: Target): readonly BrokenCase[] =>
  provider === undefined ? [] : CASES[provider.provider].filter(({ only = name }) => only === name);
