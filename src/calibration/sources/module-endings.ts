/** Modules that can give feeds, by what their names end in. */
export const MODULE_ENDINGS = ['.ts', '.mts', '.cts', '.js', '.mjs', '.cjs'];
