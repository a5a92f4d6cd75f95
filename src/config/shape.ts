import type { z } from 'zod';
import { configSchema } from './schema.ts';

/** What the schema expects at a path, found by walking the schema itself, so nothing is listed twice. */
export type Shape =
  | { readonly kind: 'section'; readonly keys: ReadonlyMap<string, Shape> }
  | { readonly kind: 'list'; readonly item: Shape }
  | { readonly kind: 'secret' }
  | { readonly kind: 'text' }
  | { readonly kind: 'number' }
  | { readonly kind: 'flag' };

export const configShape: Shape = shapeOf(configSchema);

export type Path = readonly (string | number)[];

export function shapeAt(path: Path, from: Shape = configShape): Shape | undefined {
  let shape: Shape | undefined = from;
  for (const step of path) {
    if (shape?.kind === 'section') shape = shape.keys.get(String(step));
    else if (shape?.kind === 'list') shape = shape.item;
    else return shape?.kind === 'secret' ? shape : undefined;
  }
  return shape;
}

/** Every path that holds a value, sections left out. */
export function leafPaths(shape: Shape = configShape, prefix: readonly string[] = []): string[][] {
  if (shape.kind !== 'section') return [[...prefix]];
  return [...shape.keys].flatMap(([key, inner]) => leafPaths(inner, [...prefix, key]));
}

/** The keys a person may write in a section: those of the schema, and `x_file` for each secret x. */
export function writableKeys(shape: Shape | undefined): readonly string[] {
  if (shape?.kind !== 'section') return [];
  return [...shape.keys].flatMap(([key, inner]) =>
    inner.kind === 'secret' ? [key, `${key}_file`] : [key],
  );
}

/** The few parts of a zod schema that the walk reads. */
interface Definition {
  readonly type: string;
  readonly innerType?: z.ZodType;
  readonly element?: z.ZodType;
  readonly shape?: Readonly<Record<string, z.ZodType>>;
}

function shapeOf(schema: z.ZodType): Shape {
  if (schema.meta()?.['secret'] === true) return { kind: 'secret' };
  const definition = schema.def as unknown as Definition;
  if (definition.innerType) return shapeOf(definition.innerType);
  if (definition.shape) {
    const keys = Object.entries(definition.shape).map(
      ([key, inner]) => [key, shapeOf(inner)] as const,
    );
    return { kind: 'section', keys: new Map(keys) };
  }
  if (definition.element) return { kind: 'list', item: shapeOf(definition.element) };
  if (definition.type === 'number') return { kind: 'number' };
  return { kind: definition.type === 'boolean' ? 'flag' : 'text' };
}
