/** Names of shapes. */

/** They become parts of the names of files. */
export const isShapeName = (name: string): boolean => /^[\w-]+$/.test(name);
