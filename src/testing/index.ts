/**
 * The test kit for authors of passes: graphs as text in, text out, compared without a test framework of its own. Every
 * complaint is thrown, so that it fails a test of any.
 */
export type { Closeness } from './closeness.js';
export { differenceOf } from './closeness.js';
export { drawnFeeds, type FeedLaws } from './feeds.js';
export { expectGolden, expectText } from './golden.js';
export { graphText, type PassOptions, type PassRun, runPass, runPasses } from './run-pass.js';
export { expectSameOutputs, outputDifference, type SameOutputsOptions } from './same-outputs.js';
