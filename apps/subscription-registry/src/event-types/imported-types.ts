import { eventTypeLimits, eventTypeName, type ImportEventTypesBody } from '@posthorn/contracts';
import { fault, typesOfOpenApi, type Fault, type ImportedType, type ImportedTypes } from '@posthorn/domain';

type Described = Extract<ImportEventTypesBody, { readonly event_types: unknown }>;
type OnlySchemas = Extract<ImportEventTypesBody, { readonly schemas: unknown }>;

/** An OpenAPI document may have members of these names too, so what makes it one is asked for first. */
const isOpenApi = (body: ImportEventTypesBody): body is Exclude<ImportEventTypesBody, Described | OnlySchemas> => 'openapi' in body;
const isDescribed = (body: Described | OnlySchemas): body is Described => 'event_types' in body;

/** The types in an import, whichever of its forms it has; with what is wrong with their names. */
export const importedTypes = (body: ImportEventTypesBody): ImportedTypes => {
  const { types, errors } = readTypes(body);
  if (types.length > eventTypeLimits.imported) {
    return { types: [], errors: [fault([], `more than ${eventTypeLimits.imported} event types`)] };
  }
  return { types, errors: [...errors, ...types.flatMap(faultsOfDescription)] };
};

const readTypes = (body: ImportEventTypesBody): ImportedTypes => {
  if (isOpenApi(body)) return typesOfOpenApi(body);
  const types: ImportedType[] = isDescribed(body)
    ? Object.entries(body.event_types).map(([name, { description, schema, example }]) => ({
        name,
        place: ['event_types', name],
        ...(description !== undefined && { description }),
        ...(schema !== undefined && { schema }),
        ...(example !== undefined && { example }),
      }))
    : Object.entries(body.schemas).map(([name, schema]) => ({ name, place: ['schemas', name], schema }));
  const errors = types.flatMap(({ name, place }) => {
    const parsed = eventTypeName.safeParse(name);
    return parsed.success ? [] : [fault(place, parsed.error.issues[0]?.message ?? 'is not an event type')];
  });
  return { types, errors };
};

const faultsOfDescription = ({ description = '', place }: ImportedType): readonly Fault[] =>
  description.length > eventTypeLimits.description ? [fault([...place, 'description'], `has more than ${eventTypeLimits.description} characters`)] : [];
