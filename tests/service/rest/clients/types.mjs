/** Make types by openapi-typescript; a binary body is a Blob, as its documentation has it. */

import { writeFileSync } from "node:fs";

import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const blob = ts.factory.createTypeReferenceNode("Blob");
const source = new URL("openapi.json", import.meta.url);
const types = await openapiTS(source, { transform: ({ format }) => (format === "binary" ? blob : undefined) });
writeFileSync(new URL("generated.ts", import.meta.url), astToString(types));
