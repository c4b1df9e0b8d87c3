import type { TailedOutcome, TailedPostponement } from '@posthorn/contracts';
import type { DeliveryOutcome, DeliveryPostponement, TailDeliveriesResponse } from '@posthorn/contracts/grpc/audit';
import { toTime } from '@posthorn/service-kit/grpc';
import type { Told } from '../tail/news.js';
import type { Tidings } from '../tail/watch.js';
import { deliveryStatuses } from './words.js';

const toOutcome = (view: TailedOutcome): DeliveryOutcome => ({
  ...view,
  status: deliveryStatuses.to(view.status),
  at: toTime(view.at),
  next_attempt_at: toTime(view.next_attempt_at),
  error: view.error,
});

const toPostponement = (view: TailedPostponement): DeliveryPostponement => ({
  ...view,
  status: deliveryStatuses.to(view.status),
  at: toTime(view.at),
  until: toTime(view.until),
});

const toNews = (told: Told): TailDeliveriesResponse['news'] =>
  told.kind === 'outcome' ? { $case: 'outcome', value: toOutcome(told.view) } : { $case: 'postponed', value: toPostponement(told.view) };

export const toTailed = (tidings: Tidings): TailDeliveriesResponse => {
  switch (tidings.kind) {
    case 'news':
      return { place: tidings.place, news: toNews(tidings.news.told) };
    case 'missed':
      return { place: '', news: { $case: 'missed', value: tidings.missed } };
    case 'quiet':
      return { place: tidings.place, news: undefined };
  }
};
