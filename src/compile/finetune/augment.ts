/** Pictures moved at random, so that few samples are seen as many: by the seed and the number of the step alone. */
import { SeededRandom } from '../../calibration/random.js';
import { QuantcError } from '../../errors/error.js';
import { Tensor } from '../../ir/tensor.js';
import type { Feed } from './data.js';

/** `flip`: every other picture is mirrored. `shift`: up to an eighth of its size aside, edges drawn out. */
export const AUGMENTATIONS = ['flip', 'shift'] as const;
export type Augmentation = (typeof AUGMENTATIONS)[number];

const SHIFT = 1 / 8;

/**
 * A feed with its pictures moved: inputs of float [N, channels, height, width].
 * @throws QuantcError E_FINETUNE_AUGMENT where no input is such
 */
export function augmented(feed: Feed, kinds: readonly Augmentation[], seed: number, step: number): Feed {
  if (kinds.length === 0) return feed;
  const random = new SeededRandom(seed * 104_729 + step * 7919 + 2);
  const pictures = Object.entries(feed).filter(
    ([, { dtype, shape }]) => dtype === 'float' && shape.length === 4,
  );
  if (pictures.length === 0) {
    throw new QuantcError(
      'E_FINETUNE_AUGMENT',
      'the model has no input of float [N, channels, height, width]',
      {
        kind: 'usage',
        hint: 'Leave --augment out.',
      },
    );
  }
  return {
    ...feed,
    ...Object.fromEntries(pictures.map(([name, tensor]) => [name, moved(tensor, kinds, random)])),
  };
}

function moved(pictures: Tensor, kinds: readonly Augmentation[], random: SeededRandom): Tensor {
  const [count, channels, height, width] = pictures.shape as readonly [number, number, number, number];
  const from = pictures.toFloat32();
  const to = new Float32Array(from.length);
  const aside = (size: number): number => {
    const most = Math.floor(size * SHIFT);
    return kinds.includes('shift') ? random.integer(2 * most + 1) - most : 0;
  };
  for (let picture = 0; picture < count; picture++) {
    const flipped = kinds.includes('flip') && random.integer(2) === 1;
    const [down, right] = [aside(height), aside(width)];
    for (let plane = picture * channels; plane < (picture + 1) * channels; plane++) {
      for (let row = 0; row < height; row++) {
        const source = (plane * height + within(row + down, height)) * width;
        const target = (plane * height + row) * width;
        for (let column = 0; column < width; column++) {
          const seen = within(column + right, width);
          to[target + column] = from[source + (flipped ? width - 1 - seen : seen)]!;
        }
      }
    }
  }
  return Tensor.of('float', pictures.shape, to);
}

const within = (at: number, size: number): number => Math.min(Math.max(at, 0), size - 1);
