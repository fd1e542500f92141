import type { Space } from './graph.js';

/** Some of its values come out of a normalization, or of the multiplication that ends one. */
export const endsWithNormalization = ({ givers }: Space): boolean =>
  givers.some((node) => /Normalization$/.test(node.opType) || node.is('Mul') || node.is('Div'));
