/** Whether what is plugged in is a plugin: every complaint names the plugin and the key. */
import { QuantcError } from '../errors/error.js';
import type { QuantcPlugin } from './plugin.js';

/** Names that are given away already, by what they name. */
export interface TakenNames {
  readonly passes: ReadonlySet<string>;
  readonly targets: ReadonlySet<string>;
  readonly observers: ReadonlySet<string>;
}

const NAME = /^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/;
const KEYS = ['name', 'passes', 'targets', 'observers', 'algorithms'];
/** What the names of each list are names of. */
const WHATS = { passes: 'pass', algorithms: 'pass', targets: 'target', observers: 'way to choose ranges' };
const FACTS = ['typed', 'opset-21', 'planned', 'calibrated'];
const STAGES = ['float', 'plan', 'integers'];
const MOST_ROUNDS = 1000;

/**
 * Checks plugins, in the order given.
 * @throws QuantcError E_PLUGIN_SHAPE naming the key, E_PLUGIN_NAME for a name that is taken or is none
 */
export function checkPlugins(given: readonly unknown[], taken: TakenNames): readonly QuantcPlugin[] {
  const names = new Set<string>();
  /** Who brought each name. */
  const brought = { passes: new Map<string, string>(), targets: new Map(), observers: new Map() };
  given.forEach((each, index) => {
    const at = `plugins[${index}]`;
    if (!isObject(each)) throw shape(at, undefined, `expected what definePlugin gives, not ${kindOf(each)}`);
    const plugin = isObject(each['default']) && each['name'] === undefined ? each['default'] : each;
    const { name } = plugin;
    if (typeof name !== 'string')
      throw shape(`${at}.name`, undefined, `expected a name, not ${kindOf(name)}`);
    expectName(name, 'a plugin', name);
    if (names.has(name))
      throw nameError(name, `there are two plugins of the name "${name}"`, 'Name each plugin once.');
    names.add(name);
    new Checker(name).check(plugin);
    const claim = (list: keyof typeof brought, what: keyof typeof WHATS, own: string): void => {
      const other = brought[list].get(own);
      if (!taken[list].has(own) && other === undefined) return void brought[list].set(own, name);
      throw nameError(
        name,
        other === undefined
          ? `quantc has a ${WHATS[what]} "${own}" of its own`
          : `plugin ${other} has a ${WHATS[what]} "${own}"${other === name ? ' already' : ', too'}`,
        'Choose another name: reports and traces tell things apart by it.',
      );
    };
    const checked = plugin as unknown as QuantcPlugin;
    for (const { pass } of checked.passes ?? [])
      for (const own of namesIn(pass)) claim('passes', 'passes', own);
    for (const { pass } of checked.algorithms ?? [])
      for (const own of namesIn(pass)) claim('passes', 'algorithms', own);
    for (const target of checked.targets ?? []) claim('targets', 'targets', target.name);
    for (const observer of checked.observers ?? []) claim('observers', 'observers', observer.name);
  });
  return given.map((each) => {
    const plugin = each as QuantcPlugin & { default?: QuantcPlugin };
    return plugin.name === undefined ? plugin.default! : plugin;
  });
}

interface Named {
  readonly name: string;
  readonly passes?: readonly Named[];
}
/** Names of a pass and of those in it, each once: a group may run one several times. */
const namesIn = (pass: Named): Set<string> =>
  new Set([pass.name, ...(pass.passes ?? []).flatMap((inner) => [...namesIn(inner)])]);

type Plain = Readonly<Record<string, unknown>>;
const isObject = (given: unknown): given is Plain =>
  typeof given === 'object' && given !== null && !Array.isArray(given);

function kindOf(given: unknown): string {
  if (given === undefined) return 'nothing';
  if (given === null) return 'null';
  if (Array.isArray(given)) return 'a list';
  return typeof given === 'object' ? 'an object' : `a ${typeof given}`;
}

/** Goes through one plugin. */
class Checker {
  constructor(readonly plugin: string) {}

  check(plugin: Plain): void {
    const strange = Object.keys(plugin).find((key) => !KEYS.includes(key));
    if (strange !== undefined) throw shape(strange, this.plugin, 'there is no such key', KEYS);
    const found = KEYS.slice(1).filter((key) => plugin[key] !== undefined);
    if (found.length === 0) throw shape('passes', this.plugin, 'it plugs nothing in', KEYS.slice(1));
    this.#each(plugin, 'passes', (placed, at) => {
      this.#pass(placed['pass'], `${at}.pass`);
      this.#keys(placed, at, ['pass', 'before', 'after']);
      const anchors = [placed['before'], placed['after']].filter((each) => each !== undefined);
      if (anchors.length !== 1 || typeof anchors[0] !== 'string')
        throw this.#shape(at, 'expected one anchor: `before` or `after` with the name of a pass');
    });
    this.#each(plugin, 'algorithms', (algorithm, at) => {
      this.#keys(algorithm, at, ['pass', 'stage', 'source', 'byDefault']);
      this.#pass(algorithm['pass'], `${at}.pass`);
      if (!STAGES.includes(algorithm['stage'] as string))
        throw this.#shape(`${at}.stage`, `expected one of ${STAGES.join(', ')}`);
      this.#text(algorithm, 'source', at);
      if (typeof algorithm['byDefault'] !== 'boolean')
        throw this.#shape(`${at}.byDefault`, `expected true or false, not ${kindOf(algorithm['byDefault'])}`);
    });
    this.#each(plugin, 'targets', (target, at) => {
      this.#name(target, at, 'a target');
      for (const key of ['rows', 'dynamicRows', 'absorbed'])
        if (!Array.isArray(target[key]))
          throw this.#shape(`${at}.${key}`, `expected a list, not ${kindOf(target[key])}`);
      for (const key of ['activation', 'weight', 'costs', 'session'])
        if (!isObject(target[key]))
          throw this.#shape(`${at}.${key}`, `expected an object, not ${kindOf(target[key])}`);
      if (typeof target['opset'] !== 'number') throw this.#shape(`${at}.opset`, 'expected a number');
    });
    this.#each(plugin, 'observers', (observer, at) => {
      this.#keys(observer, at, ['name', 'doc', 'range']);
      this.#name(observer, at, 'an observer');
      this.#text(observer, 'doc', at);
      if (typeof observer['range'] !== 'function')
        throw this.#shape(`${at}.range`, `expected a function, not ${kindOf(observer['range'])}`);
    });
  }

  #each(plugin: Plain, key: string, check: (each: Plain, at: string) => void): void {
    const list = plugin[key];
    if (list === undefined) return;
    if (!Array.isArray(list)) throw this.#shape(key, `expected a list, not ${kindOf(list)}`);
    list.forEach((each: unknown, index) => {
      const at = `${key}[${index}]`;
      if (!isObject(each)) throw this.#shape(at, `expected an object, not ${kindOf(each)}`);
      check(each, at);
    });
  }

  #pass(pass: unknown, at: string, above: readonly unknown[] = []): void {
    if (!isObject(pass))
      throw this.#shape(at, `expected what definePass or rewrite gives, not ${kindOf(pass)}`);
    if (above.includes(pass)) throw this.#shape(at, 'the group is a part of itself');
    this.#name(pass, at, 'a pass');
    this.#text(pass, 'doc', at);
    if (typeof pass['run'] !== 'function')
      throw this.#shape(`${at}.run`, `expected a function, not ${kindOf(pass['run'])}`);
    for (const key of ['needs', 'gives']) {
      const facts = pass[key];
      if (facts === undefined) continue;
      if (!Array.isArray(facts)) throw this.#shape(`${at}.${key}`, `expected a list, not ${kindOf(facts)}`);
      const strange = facts.findIndex((fact) => !FACTS.includes(fact));
      if (strange >= 0)
        throw this.#shape(`${at}.${key}[${strange}]`, `there is no fact "${facts[strange]}"`, FACTS);
    }
    const { rounds, passes } = pass;
    if (
      rounds !== undefined &&
      !(Number.isInteger(rounds) && Number(rounds) >= 1 && Number(rounds) <= MOST_ROUNDS)
    )
      throw this.#shape(`${at}.rounds`, `expected a number from 1 to ${MOST_ROUNDS}`);
    if (passes === undefined) return;
    if (!Array.isArray(passes)) throw this.#shape(`${at}.passes`, `expected a list, not ${kindOf(passes)}`);
    for (const [index, inner] of passes.entries())
      this.#pass(inner, `${at}.passes[${index}]`, [...above, pass]);
  }

  #keys(given: Plain, at: string, known: readonly string[]): void {
    const strange = Object.keys(given).find((key) => !known.includes(key));
    if (strange !== undefined) throw this.#shape(`${at}.${strange}`, 'there is no such key', known);
  }

  #name(given: Plain, at: string, what: string): void {
    if (typeof given['name'] !== 'string')
      throw this.#shape(`${at}.name`, `expected a name, not ${kindOf(given['name'])}`);
    expectName(given['name'], what, this.plugin);
  }

  #text(given: Plain, key: string, at: string): void {
    if (typeof given[key] !== 'string' || given[key] === '')
      throw this.#shape(`${at}.${key}`, `expected a line of text, not ${kindOf(given[key])}`);
  }

  #shape(key: string, complaint: string, known?: readonly string[]): QuantcError {
    return shape(key, this.plugin, complaint, known);
  }
}

function shape(
  key: string,
  plugin: string | undefined,
  complaint: string,
  known?: readonly string[],
): QuantcError {
  return new QuantcError(
    'E_PLUGIN_SHAPE',
    `${plugin === undefined ? '' : `plugin ${plugin}: `}${key}: ${complaint}`,
    {
      kind: 'usage',
      place: { plugin },
      hint: known && `There are: ${known.join(', ')}.`,
    },
  );
}

function expectName(name: string, what: string, plugin: string): void {
  if (NAME.test(name)) return;
  throw nameError(
    plugin,
    `"${name}" is no name of ${what}`,
    'Write words of small letters and digits with - between.',
  );
}

const nameError = (plugin: string, message: string, hint: string): QuantcError =>
  new QuantcError('E_PLUGIN_NAME', message, { kind: 'usage', place: { plugin }, hint });
