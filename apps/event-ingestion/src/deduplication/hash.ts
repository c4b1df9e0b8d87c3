import { hash } from 'node:crypto';

/** 128 bits as 32 hexadecimal digits, which PostgreSQL reads as a uuid; the order of such texts is the order of uuids. */
export type Hash = string;

const HEX_DIGITS = 32;

const digest = (parts: readonly string[]): Hash => hash('sha256', parts.join('\0'), 'hex').slice(0, HEX_DIGITS);

/** What an event is recognised by. None of the parts can hold a NUL. */
export const hashOfEvent = (tenant: string, eventId: string): Hash => digest([tenant, eventId]);

/** With one part more than an event has, so that it is none's. */
export const hashOfKey = (actor: string, tenant: string, key: string): Hash => digest(['key', actor, tenant, key]);

/** What was asked under a key. */
export const hashOfUse = (actor: string, tenant: string, key: string, fingerprint: string): Hash => digest(['use', actor, tenant, key, fingerprint]);
