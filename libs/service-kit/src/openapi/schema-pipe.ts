import type { PipeTransform } from '@nestjs/common';
import { z } from 'zod';
import { parseOrRefuse } from '../problem.js';

/**
 * Parses what a controller's parameter says it takes (`@Body({ schema })`, `@Query({ schema })`, `@Param({ schema })`) and refuses the
 * rest by the names of the members. Nest's own pipe for this knows only what every schema library has in common, and would lose which
 * members are unknown, and which shape of several was meant.
 */
export const schemaPipe: PipeTransform = {
  transform: (value: unknown, { schema }) => {
    if (schema === undefined) return value;
    if (!(schema instanceof z.ZodType)) throw new TypeError('the schema of a parameter is not one of zod');
    return parseOrRefuse(schema, value);
  },
};
