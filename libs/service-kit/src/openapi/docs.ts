import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { FastifyInstance } from 'fastify';

/** Everything from here, nothing inline but styles, which the page's own script sets. */
const SECURITY_POLICY = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'";

/** Links are relative to `/docs/`, so that the page also works below a path of somebody's proxy. */
const page = (title: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<link rel="stylesheet" href="./docs/swagger-ui.css">
</head>
<body>
<div id="page"></div>
<script src="./docs/swagger-ui-bundle.js"></script>
<script src="./docs/page.js"></script>
</body>
</html>
`;

const SCRIPT = `SwaggerUIBundle({ url: './docs/openapi.json', dom_id: '#page', deepLinking: true, docExpansion: 'list', tryItOutEnabled: true, validatorUrl: null });
`;

const SWAGGER_UI: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
};

/** Swagger UI comes with @nestjs/swagger; it is read when somebody looks at it. */
const swaggerUi = (file: string): Promise<Buffer> => {
  const ours = createRequire(import.meta.url);
  const theirs = createRequire(ours.resolve('@nestjs/swagger'));
  return readFile(join(dirname(theirs.resolve('swagger-ui-dist/package.json')), file));
};

/** `/docs` and what it needs, without a key: the API is no secret. `document` is asked at each request for it, and gives its text. */
export const serveDocs = (fastify: FastifyInstance, title: string, document: () => Promise<string>): void => {
  const open = { config: { open: true } };
  fastify.get('/docs/openapi.json', open, async (_request, reply) => reply.type('application/json').send(await document()));
  fastify.get('/docs', open, (_request, reply) => reply.type('text/html; charset=utf-8').header('content-security-policy', SECURITY_POLICY).send(page(title)));
  fastify.get('/docs/page.js', open, (_request, reply) => reply.type('text/javascript; charset=utf-8').send(SCRIPT));
  for (const [file, type] of Object.entries(SWAGGER_UI)) {
    fastify.get(`/docs/${file}`, open, async (_request, reply) => reply.type(type).header('cache-control', 'public, max-age=86400').send(await swaggerUi(file)));
  }
};
