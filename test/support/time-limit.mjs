import { jest } from '@jest/globals';

/**
 * Of tests over real servers. A test waits for what it means, and says what did not come: its limit is there to end one that hangs, and has to
 * leave `eventually` its ten seconds, more than once. jest's own, five, would end it before it could say anything.
 */
jest.setTimeout(60_000);
