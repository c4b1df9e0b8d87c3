import { ConflictException, HttpException, InternalServerErrorException } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { problemCodes, type ProblemCode } from '@posthorn/contracts';
import { z } from 'zod';
import { parseOrRefuse, Problem, problemOf } from './problem.js';

const refusalOf = (schema: z.ZodType, value: unknown): Problem => {
  try {
    parseOrRefuse(schema, value);
  } catch (error) {
    if (error instanceof Problem) return error;
  }
  throw new Error('was not refused');
};

describe('Problem', () => {
  it.each(Object.entries(problemCodes))('%s leaves with status %i and a title', (code, status) => {
    const { body } = new Problem(code as ProblemCode, 'why');
    expect(body).toEqual({ type: `urn:posthorn:problem:${code}`, title: expect.any(String), status, code, detail: 'why' });
  });

  it('asks to come back when something is away, sooner or later', () => {
    expect(new Problem('unavailable', 'x').headers).toEqual({ 'retry-after': '1' });
    expect(new Problem('unavailable', 'x', { headers: { 'retry-after': '9' } }).headers).toEqual({ 'retry-after': '9' });
  });
});

describe('parseOrRefuse', () => {
  it('gives what the schema makes of the value', () => {
    expect(parseOrRefuse(z.object({ a: z.coerce.number() }), { a: '1' })).toEqual({ a: 1 });
  });

  it('names every field that is wrong', () => {
    const schema = z.strictObject({ policy: z.strictObject({ timeout: z.string() }), types: z.array(z.string()), name: z.string() });
    const problem = refusalOf(schema, { policy: { timeout: 1, retry_shedule: [] }, types: ['a', 2], nmae: 'x' });
    expect(problem.code).toBe('invalid');
    expect(problem.errors?.map(({ path }) => path).sort()).toEqual(['name', 'nmae', 'policy.retry_shedule', 'policy.timeout', 'types[1]']);
    expect(problem.errors).toContainEqual({ path: 'policy.retry_shedule', message: 'is not known here' });
    expect(problem.message).toMatch(/ \(and 4 more\)$/);
  });

  it('quotes names that a path could not hold', () => {
    expect(refusalOf(z.object({ headers: z.record(z.string(), z.string()) }), { headers: { 'a b.c': 1 } }).errors?.[0]?.path).toBe('headers["a b.c"]');
  });

  it('says why a key of a record is refused', () => {
    const schema = z.object({ headers: z.record(z.string().regex(/^x-/, 'starts with x-'), z.string()) });
    expect(refusalOf(schema, { headers: { 'y-a': '1' } }).errors).toEqual([{ path: 'headers.y-a', message: 'starts with x-' }]);
  });

  it('of the shapes a value could have had, complains about the nearest', () => {
    const schema = z.object({ auth: z.union([z.string(), z.object({ basic: z.object({ user: z.string() }) })]) });
    expect(refusalOf(schema, { auth: { basic: { user: 1 } } }).errors?.map(({ path }) => path)).toEqual(['auth.basic.user']);
  });

  it('speaks of the request when the whole of it is wrong', () => {
    expect(refusalOf(z.object({}), undefined).message).toMatch(/^the request: /);
  });
});

describe('problemOf', () => {
  it.each<[string, unknown, ProblemCode]>([
    ['a problem', new Problem('conflict', 'x'), 'conflict'],
    ["zod's", z.string().safeParse(1).error, 'invalid'],
    ["Nest's", new ConflictException('x'), 'conflict'],
    ["Nest's of a status without a code", new HttpException('x', 418), 'malformed'],
    ["Nest's own faults", new InternalServerErrorException('x'), 'internal'],
    ['a status on an error', Object.assign(new Error('x'), { statusCode: 413 }), 'too_large'],
    ['a server status on an error', Object.assign(new Error('x'), { statusCode: 500 }), 'internal'],
    ['Kafka away', Object.assign(new Error('x'), { name: 'KafkaError', code: 'unavailable' }), 'unavailable'],
    ['Kafka refusing', Object.assign(new Error('x'), { name: 'KafkaError', code: 'refused' }), 'internal'],
    ['anything', new Error('x'), 'internal'],
    ['what is not even an error', 'x', 'internal'],
  ])('%s', (_what, error, code) => {
    expect(problemOf(error).code).toBe(code);
  });

  it('tells nothing of an error that was not expected, and keeps it as the cause', () => {
    const error = new Error('password is hunter2');
    const problem = problemOf(error);
    expect(JSON.stringify(problem.body)).not.toContain('hunter2');
    expect(problem.cause).toBe(error);
  });
});
