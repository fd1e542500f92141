/** The roles of a model's weights, for `quantc inspect --roles`. */
import { canonicalModel } from '../explain.js';
import type { Node } from '../ir/graph.js';
import { createEngine } from '../runtime/engine.js';
import { attentionAt } from '../transformer/attention.js';
import { Prober } from '../transformer/cone.js';
import { maskOf } from '../transformer/mask.js';
import type { Projection } from '../transformer/projection.js';
import { type AttentionRoles, rolesOf } from '../transformer/roles.js';
import { columns } from './columns.js';
import { heading } from './terminal.js';

/** What is printed as JSON. */
export type RoleFacts = Awaited<ReturnType<typeof roleFacts>>;

/** Reads the roles of the model as it is after the passes that change no result. Masks are asked for a few sizes. */
export async function roleFacts(path: string) {
  const model = await canonicalModel(path);
  const prober = new Prober(model, createEngine());
  const roles = rolesOf(model.graph);
  const attentions = [];
  for (const each of roles.attentions)
    attentions.push({ ...facts(each), mask: await maskText(prober, each) });
  return {
    attentions,
    feedForwards: roles.feedForwards.map(({ gate, up, down, activation }) => ({
      gate: part(gate),
      up: part(up),
      down: part(down),
      activation,
    })),
    embeddings: roles.embeddings.map(({ node, isVocabulary }) => ({ node: node.label, isVocabulary })),
    head: roles.head?.label,
    norms: roles.norms.length,
    rejections: roles.rejections.map(({ node, reason }) => ({ node: node.label, reason })),
  };
}

function facts(each: AttentionRoles) {
  const { node, q, k, v, o, heads, kvHeads, headSize, scale, rotary, cross, oddity } = each;
  return {
    node: node.label,
    q: part(q),
    k: part(k),
    v: part(v),
    o: part(o),
    heads,
    kvHeads,
    headSize,
    scale,
    rotary,
    cross,
    ...(oddity !== undefined && { leftAlone: oddity }),
  };
}

/** Name of a product, and its columns where it is shared. */
function part(projection: Projection | undefined): string | undefined {
  if (projection === undefined) return undefined;
  const { node, columns: range, perHead } = projection;
  if (range !== undefined) return `${node.label}[:, ${range[0]}:${range[1]}]`;
  return perHead ? `${node.label} (side by side in each head)` : node.label;
}

async function maskText(prober: Prober, { node }: AttentionRoles): Promise<string> {
  if (!isSoftmax(node))
    return /GroupQuery/.test(node.opType) || node.int('unidirectional', 0) === 1 ? 'causal' : 'its own';
  const attention = attentionAt(node);
  if (typeof attention === 'string') return 'unknown';
  const { kind, reason } = await maskOf(prober, attention);
  return reason === undefined ? kind : `${kind} (${reason})`;
}
const isSoftmax = (node: Node): boolean => node.is('Softmax');

/** The roles as a person reads them. */
export function rolesText(roles: RoleFacts): string {
  const lines = [heading('Attention')];
  if (roles.attentions.length === 0) lines.push('  none');
  roles.attentions.forEach((each, at) => {
    const { heads, kvHeads, headSize, scale, rotary } = each;
    const shared = kvHeads !== heads ? `, ${kvHeads} of keys and values` : '';
    const turned = rotary && `, rotary over ${rotary.size}${rotary.interleaved ? ' interleaved' : ''}`;
    const about = `${heads ?? '?'} heads of ${headSize ?? '?'}${shared}, scale ${scale?.toPrecision(4) ?? 'as usual'}, mask ${each.mask}${turned ?? ''}${each.cross ? ', over another sequence' : ''}`;
    lines.push(
      `  ${at}  ${about}`,
      columns((['q', 'k', 'v', 'o'] as const).map((role) => [`     ${role}`, each[role] ?? 'not found'])),
    );
    if (each.leftAlone !== undefined) lines.push(`     left as it is: ${each.leftAlone}`);
  });
  if (roles.attentions.length > 0) {
    lines.push(heading('Feed-forward layers'));
    roles.feedForwards.forEach((each, at) => {
      const gate = each.gate === undefined ? [] : [['     gate', each.gate]];
      const products = [...gate, ['     up', each.up!], ['     down', each.down!]];
      lines.push(`  ${at}  ${each.activation}`, columns(products));
    });
    const tables = roles.embeddings.map(({ node, isVocabulary }) => [isVocabulary ? 'words' : 'table', node]);
    lines.push(
      heading('Ends'),
      columns([...tables, ['head', roles.head ?? 'none'], ['norms', String(roles.norms)]]),
    );
  }
  if (roles.rejections.length > 0) {
    lines.push(heading('Softmax that is no attention'));
    lines.push(columns(roles.rejections.map(({ node, reason }) => [node, reason])));
  }
  return lines.join('\n');
}
