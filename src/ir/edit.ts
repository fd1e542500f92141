/**
 * The one door through which graphs change. Every function here keeps use-def links whole and bumps the version of
 * the graph it touches, so that the pipeline knows what changed. Nodes: `edit-node.ts`. Values: `edit-value.ts`.
 */
export { floatAttribute, toAttribute } from './attribute.js';
export * from './edit-node.js';
export * from './edit-value.js';
export type { Use } from './graph.js';
export { type NodePosition, startOf } from './link.js';
export { freshName, renameValue, swapNames } from './names.js';
export { sortTopologically } from './order.js';
export { valuesOf, valuesRead } from './walk.js';
