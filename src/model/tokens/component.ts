// A component of a tokenizer.json: an object whose `type` decides the meaning of the other fields.
import { z } from 'zod';
import { firstIssue } from '../../errors.ts';
import { ModelError } from '../errors.ts';

export const ComponentSchema = z.looseObject({ type: z.string() });
export type Component = z.infer<typeof ComponentSchema>;

/** Parses the settings of a component. Throws ModelError `bad-tokenizer`, naming its type. */
export function parsed<T>(schema: z.ZodType<T>, component: Component): T {
  const result = schema.safeParse(component);
  if (result.success) return result.data;
  throw new ModelError('bad-tokenizer', `${component.type}: ${firstIssue(result.error)}`);
}

export function unknownType(part: string, { type }: Component): ModelError {
  return new ModelError('unsupported', `the ${part} ${JSON.stringify(type)} is not supported`, { part, type });
}
