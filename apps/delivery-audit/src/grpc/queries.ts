import { given, present, timeOf } from '@posthorn/service-kit/grpc';
import type { TimeRange } from '@posthorn/contracts/grpc/audit';

type Query = Record<string, unknown>;

/** What pages a list, as REST's query has it. */
export const paged = ({ page_size, page_token }: { readonly page_size?: number | undefined; readonly page_token: string }): Query =>
  present({ page_size, page_token: given(page_token) });

/** What bounds a list in time. */
export const bounded = (range: TimeRange | undefined): Query => present({ from: timeOf(range?.from), to: timeOf(range?.to) });
