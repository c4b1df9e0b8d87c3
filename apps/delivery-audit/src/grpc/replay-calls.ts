import { replayBody, replaysQuery, type DryRun as DryRunView, type ReplayView } from '@posthorn/contracts';
import { ReplayStatus, type DryRun, type Replay, type ReplayCounts, type ReplayServiceDefinition, type ReplayWish } from '@posthorn/contracts/grpc/audit';
import { parseOrRefuse } from '@posthorn/service-kit';
import { givenList, present, timeOf, toTime, words, type CallContext, type Calls } from '@posthorn/service-kit/grpc';
import type { ReplayRequest, Replays } from '../replaying/replays.js';
import { reading, writing } from './of-tenant.js';
import { paged } from './queries.js';
import { requestedByCall, tellAnswered } from './requested-by-call.js';
import { deliveryStatuses } from './words.js';

const replayStatuses = words(ReplayStatus, ReplayStatus.REPLAY_STATUS_UNSPECIFIED);

const wishOf = (wish: ReplayWish | undefined) =>
  wish &&
  present({
    from: timeOf(wish.from),
    to: timeOf(wish.to),
    event_types: givenList(wish.event_types),
    statuses: givenList(wish.statuses.map(deliveryStatuses.of)),
    subscription: wish.subscription,
    to_subscription: wish.to_subscription,
    rate: wish.rate,
    force: wish.force,
  });

const toCounts = ({ matched, done, skipped, filtered, disabled, expired }: ReplayCounts): ReplayCounts => ({ matched, done, skipped, filtered, disabled, expired });

const toReplay = (view: ReplayView): Replay => ({
  id: view.id,
  tenant: view.tenant,
  status: replayStatuses.to(view.status),
  failure: view.failure,
  wish: {
    from: toTime(view.from),
    to: toTime(view.to),
    event_types: view.event_types ?? [],
    statuses: (view.statuses ?? []).map(deliveryStatuses.to),
    subscription: view.subscription,
    to_subscription: view.to_subscription,
    rate: view.rate,
    force: view.force,
  },
  counts: toCounts(view),
  reached: toTime(view.reached),
  actor: view.actor,
  created_at: toTime(view.created_at),
  updated_at: toTime(view.updated_at),
  finished_at: toTime(view.finished_at),
});

const toDryRun = (view: DryRunView): DryRun => ({
  counts: toCounts(view),
  at_least: view.at_least,
  sample: view.sample.map(({ accepted_at, ...delivery }) => ({ ...delivery, accepted_at: toTime(accepted_at) })),
});

export const replayCalls = (replays: Replays): Calls<typeof ReplayServiceDefinition> => {
  const change = async (kind: ReplayRequest, request: { readonly tenant: string; readonly id: string }, context: CallContext): Promise<{ replay: Replay }> => {
    const answered = await replays.change(request.tenant, request.id, kind, requestedByCall(context, request));
    return { replay: toReplay(tellAnswered(context, answered)) };
  };
  return {
    createReplay: {
      ...writing,
      answer: async (request, context) => {
        const body = parseOrRefuse(replayBody, { ...wishOf(request.wish), dry_run: request.dry_run });
        const answer = tellAnswered(context, await replays.request(request.tenant, body, requestedByCall(context, request)));
        return answer.status === 'dry_run'
          ? { outcome: { $case: 'dry_run', value: toDryRun(answer) } }
          : { outcome: { $case: 'replay', value: toReplay(answer) } };
      },
    },
    listReplays: {
      ...reading,
      answer: async ({ tenant, status, ...page }) => {
        const query = parseOrRefuse(replaysQuery, present({ status: replayStatuses.of(status), ...paged(page) }));
        const { data, next_page_token = '' } = await replays.list(tenant, query);
        return { replays: data.map(toReplay), next_page_token };
      },
    },
    getReplay: {
      ...reading,
      answer: async ({ tenant, id }) => {
        const view = await replays.get(tenant, id);
        return { replay: toReplay(view), history: view.history.map(({ at, ...entry }) => ({ ...entry, at: toTime(at) })) };
      },
    },
    pauseReplay: { ...writing, answer: (request, context) => change('pause', request, context) },
    resumeReplay: { ...writing, answer: (request, context) => change('resume', request, context) },
    cancelReplay: { ...writing, answer: (request, context) => change('cancel', request, context) },
  };
};
