import { pathText } from '@posthorn/contracts';
import type { Place } from './keywords.js';

/** What is wrong, and where: `data.lines[0].amount`. */
export type Fault = { readonly path: string; readonly message: string };

export const fault = (place: Place, message: string): Fault => ({ path: pathText(place), message });
