export { type Converted, type ConvertedPort, type ConvertOptions, convertToTflite } from './convert.js';
export { encodeTflite } from './encode.js';
