import type { StatisticsFigures as FiguresView, StatisticsView } from '@posthorn/contracts';
import type { Statistics, StatisticsFigures, StatisticsServiceDefinition, StatisticsSpan } from '@posthorn/contracts/grpc/audit';
import { parseOrRefuse } from '@posthorn/service-kit';
import { given, present, timeOf, toTime, type Calls } from '@posthorn/service-kit/grpc';
import type { MissedController } from '../query/missed.controller.js';
import { missedQuery } from '../query/missed.js';
import type { StatisticsController } from '../statistics/statistics.controller.js';
import { statisticsQuery } from '../statistics/statistics.js';
import { reading } from './of-tenant.js';
import { bounded } from './queries.js';

export type StatisticsParts = { readonly missed: MissedController; readonly statistics: StatisticsController };

const queryOf = (span: StatisticsSpan | undefined) => parseOrRefuse(statisticsQuery, present({ ...bounded(span), step: given(span?.step ?? '') }));

const toFigures = ({ deliveries, attempts, duration_ms, latency_ms }: FiguresView): StatisticsFigures => ({
  deliveries,
  attempts: { ...attempts, errors: { ...attempts.errors } },
  duration_ms,
  latency_ms,
});

const toStatistics = ({ from, to, step, totals, series }: StatisticsView): Statistics => ({
  from: toTime(from),
  to: toTime(to),
  step,
  totals: toFigures(totals),
  series: series.map(({ at, ...figures }) => ({ at: toTime(at), figures: toFigures(figures) })),
});

export const statisticsCalls = ({ missed, statistics }: StatisticsParts): Calls<typeof StatisticsServiceDefinition> => ({
  countMissed: {
    ...reading,
    answer: ({ tenant, from, to, event_types }) =>
      missed.missed(tenant, parseOrRefuse(missedQuery, present({ from: timeOf(from), to: timeOf(to), event_types: event_types.join(',') }))),
  },
  getStatistics: {
    ...reading,
    answer: async ({ tenant, span }) => ({ statistics: toStatistics(await statistics.ofTenant(tenant, queryOf(span))) }),
  },
  getSubscriptionStatistics: {
    ...reading,
    answer: async ({ tenant, id, span }) => ({ statistics: toStatistics(await statistics.ofSubscription(tenant, id, queryOf(span))) }),
  },
});
