import type { INestApplicationContext } from '@nestjs/common';
import {
  AuditServiceDefinition,
  ExportServiceDefinition,
  RejectedEventServiceDefinition,
  ReplayServiceDefinition,
  StatisticsServiceDefinition,
  TailServiceDefinition,
} from '@posthorn/contracts/grpc/audit';
import { serve, type ServedService } from '@posthorn/service-kit/grpc';
import { Redelivery } from '../asking/redelivery.js';
import { ExplainController } from '../explain/explain.controller.js';
import { Exporter } from '../export/exporter.js';
import { PublishAgain } from '../publishing/publish-again.js';
import { Database } from '../query/database.js';
import { DeliveriesController } from '../query/deliveries.controller.js';
import { EventsController } from '../query/events.controller.js';
import { MissedController } from '../query/missed.controller.js';
import { AllRejectedEventsController, RejectedEventsController } from '../query/rejected-events.controller.js';
import { Replays } from '../replaying/replays.js';
import { StatisticsController } from '../statistics/statistics.controller.js';
import { Tail } from '../tail/tail.js';
import { auditServiceCalls } from './audit-service-calls.js';
import { exportCalls } from './export-calls.js';
import { rejectedEventCalls } from './rejected-event-calls.js';
import { replayCalls } from './replay-calls.js';
import { statisticsCalls } from './statistics-calls.js';
import { tailCalls } from './tail-calls.js';

/** `posthorn.audit.v1`, served by the parts that the REST API is served by. */
export const auditCalls = (app: INestApplicationContext): readonly ServedService[] => {
  const database = app.get(Database);
  return [
    serve(
      AuditServiceDefinition,
      auditServiceCalls({
        database,
        events: app.get(EventsController),
        explain: app.get(ExplainController),
        deliveries: app.get(DeliveriesController),
        redelivery: app.get(Redelivery),
      }),
    ),
    serve(
      RejectedEventServiceDefinition,
      rejectedEventCalls({ rejected: app.get(RejectedEventsController), all: app.get(AllRejectedEventsController), publishAgain: app.get(PublishAgain) }),
    ),
    serve(ReplayServiceDefinition, replayCalls(app.get(Replays))),
    serve(StatisticsServiceDefinition, statisticsCalls({ missed: app.get(MissedController), statistics: app.get(StatisticsController) })),
    serve(ExportServiceDefinition, exportCalls({ database, exporter: app.get(Exporter) })),
    serve(TailServiceDefinition, tailCalls(app.get(Tail))),
  ];
};
