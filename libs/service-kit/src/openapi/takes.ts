import type { z } from 'zod';

/** What a controller's method reads from the request by itself. Nothing here judges: it only tells clients. */
export type Taken = {
  /** By media type. */
  readonly body?: Readonly<Record<string, z.ZodType>>;
  /** Whether there may be none. */
  readonly isOptional?: true;
  /** Those that mean something; their names as clients write them. */
  readonly headers?: z.ZodObject;
};

const taken = new WeakMap<object, Taken>();

/** For the OpenAPI document: the bodies and headers of a method that no parameter's schema describes, as the bytes are read elsewhere. */
export const Takes =
  (what: Taken): MethodDecorator =>
  (_target, _name, { value }) => {
    if (typeof value === 'function') taken.set(value, what);
  };

/** What `Takes` said of a method; undefined when it has none. */
export const takenBy = (method: object): Taken | undefined => taken.get(method);
