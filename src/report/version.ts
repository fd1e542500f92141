/** Version of quantc, as written into models and reports; the same as in package.json. */
export const VERSION = '0.1.0';
