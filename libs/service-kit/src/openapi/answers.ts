import { applyDecorators, HttpCode } from '@nestjs/common';
import type { z } from 'zod';

/** What a controller's method answers when all is well. */
export type Answer = {
  readonly status: number;
  /** Of the body; without one there is none. */
  readonly schema: z.ZodType | undefined;
  /** One sentence. */
  readonly summary: string;
  /** False for a call that is no GET and still changes nothing: a check, a test. */
  readonly changes?: false | undefined;
  /** What clients call it, where its place does not say it (`operation-id.ts`). */
  readonly operationId?: string | undefined;
  /** Of the body, where it is not JSON; the schema is then that of its parts. */
  readonly mediaType?: string | undefined;
  /** What the body can be besides, as a text. */
  readonly alsoAs?: readonly string[] | undefined;
};

const answers = new WeakMap<object, Answer>();

/** The answer of a controller's method: sets its status, and says so in the OpenAPI document. */
export const Answers = (status: number, schema: z.ZodType | undefined, summary: string, more: Pick<Answer, 'changes' | 'operationId' | 'mediaType' | 'alsoAs'> = {}): MethodDecorator =>
  applyDecorators(HttpCode(status), ((_target, _name, { value }) => {
    if (typeof value === 'function') answers.set(value, { ...more, status, schema, summary });
  }) satisfies MethodDecorator);

/** What `Answers` said of a method; undefined when it has none. */
export const answerOf = (method: object): Answer | undefined => answers.get(method);
