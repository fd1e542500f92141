/** Where plugins were loaded from: answers that they keep are theirs only as long as their sources are the same. */
const digests = new WeakMap<object, string>();

/** Says of which sources a plugin was made. @param digest SHA-256 over the module and all that it loads */
export function setOrigin(plugin: object, digest: string): void {
  digests.set(plugin, digest);
}

/** Undefined where the plugin was handed over by a program, whose sources nobody knows. */
export const originOf = (plugin: object): string | undefined => digests.get(plugin);
