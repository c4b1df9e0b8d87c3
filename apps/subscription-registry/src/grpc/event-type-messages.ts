import type { EventTypeView, ImportedChange as ChangeView } from '@posthorn/contracts';
import { ImportAction, type EventType, type ImportedChange } from '@posthorn/contracts/grpc/registry';
import { given, jsonOf, present, toTime, words } from '@posthorn/service-kit/grpc';

const importActions = words(ImportAction, ImportAction.IMPORT_ACTION_UNSPECIFIED);

/** `PUT …/event-types/{name}` */
export const eventTypeOf = (eventType: EventType | undefined): unknown =>
  eventType &&
  present({
    name: given(eventType.name),
    description: given(eventType.description),
    schema: jsonOf(eventType.schema, 'schema'),
    example: jsonOf(eventType.example, 'example'),
    archived: eventType.archived,
    version: given(eventType.version),
  });

export const toEventType = (view: EventTypeView): EventType => ({
  name: view.name,
  tenant: view.tenant,
  description: view.description,
  schema: view.schema,
  example: view.example,
  version: view.version,
  archived: view.archived,
  created_at: toTime(view.created_at),
  updated_at: toTime(view.updated_at),
});

export const toImportedChange = ({ name, action, version, reasons = [] }: ChangeView): ImportedChange => ({
  name,
  action: importActions.to(action),
  version,
  reasons: [...reasons],
});
