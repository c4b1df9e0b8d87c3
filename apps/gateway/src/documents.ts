import { VERSION, z } from '@posthorn/service-kit';

/** As much of a service's OpenAPI document as it takes to put several together. */
const openApi = z.looseObject({
  openapi: z.string(),
  tags: z.array(z.looseObject({ name: z.string() })),
  paths: z.record(z.string(), z.record(z.string(), z.unknown())),
  components: z.record(z.string(), z.record(z.string(), z.unknown())),
});
export type OpenApi = z.infer<typeof openApi>;

/** A service's document, or undefined while it is away. */
export type Described = readonly [service: string, document: OpenApi | undefined];

type Groups = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** Two levels deep; what the same name stands for is the same in all services of one version. */
const united = (all: readonly Groups[]): Groups => {
  const groups: Record<string, Record<string, unknown>> = {};
  for (const [name, members] of all.flatMap((one) => Object.entries(one))) groups[name] = { ...members, ...groups[name] };
  return groups;
};

/** One document of all the services that are there; which are not, it says. */
export const merged = (all: readonly Described[]): object => {
  const documents = all.flatMap(([, document]) => document ?? []);
  const missing = all.flatMap(([service, document]) => (document ? [] : [service]));
  const away = missing.length === 0 ? '' : ` Not all of it is here: ${missing.join(' and ')} did not answer.`;
  const tags = new Map(documents.flatMap((document) => document.tags.map((tag) => [tag.name, tag])));
  return {
    openapi: '3.1.0',
    info: { title: 'Posthorn', description: `Webhooks: what is subscribed, published and delivered.${away}`, version: VERSION },
    servers: [{ url: '/' }],
    ...(missing.length > 0 && { 'x-missing-services': missing }),
    tags: [...tags].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, tag]) => tag),
    paths: united(documents.map(({ paths }) => paths)),
    components: united(documents.map(({ components }) => components)),
  };
};

/** A service makes its document when it is first asked, for a fraction of a second. */
const LIMIT_MS = 3_000;
const KEPT_MS = 5_000;

const documentOf = async (url: string, limitMs: number): Promise<OpenApi | undefined> => {
  try {
    const response = await fetch(new URL('/docs/openapi.json', url), { signal: AbortSignal.timeout(limitMs) });
    return openApi.safeParse(await response.json()).data;
  } catch {
    return undefined;
  }
};

/** The text of the merged document. The services are asked when somebody asks for it, and then not again for a moment. */
export const mergedDocument = (
  urls: Readonly<Record<string, string>>,
  { limitMs = LIMIT_MS, keptMs = KEPT_MS, nowMs = () => performance.now() } = {},
): (() => Promise<string>) => {
  const ask = async (): Promise<string> =>
    JSON.stringify(merged(await Promise.all(Object.entries(urls).map(async ([service, url]): Promise<Described> => [service, await documentOf(url, limitMs)]))));
  let text: Promise<string> | undefined;
  let askedMs = 0;
  return () => {
    if (text === undefined || nowMs() - askedMs >= keptMs) {
      askedMs = nowMs();
      text = ask();
    }
    return text;
  };
};
