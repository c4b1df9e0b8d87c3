import { pathText } from '@posthorn/contracts';
import type { Place } from './keywords.js';

/** What is wrong, and where: `data.lines[0].amount`. */
export type Fault = { readonly path: string; readonly message: string };

/** A member's name may be as long as an event, and several faults name it. */
const PATH_CHARACTERS = 1024;

export const fault = (place: Place, message: string): Fault => ({ path: pathText(place).slice(0, PATH_CHARACTERS), message });
