/**
 * Show the OpenAPI description with Swagger UI, in the colour scheme of the browser.
 *
 * The files in swagger-ui/ are those of the npm package swagger-ui-dist 5.35.0, unchanged.
 */

const { SwaggerUIBundle } = /** @type {any} */ (window); // of swagger-ui-bundle.js

const scheme = matchMedia("(prefers-color-scheme: dark)");
const setScheme = () => document.documentElement.classList.toggle("dark-mode", scheme.matches);
scheme.addEventListener("change", setScheme);
setScheme();

SwaggerUIBundle({ url: "openapi.json", dom_id: "#api", deepLinking: true });
