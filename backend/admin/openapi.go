package admin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/opsdeck/opsdeck/backend/state"
)

// schema is a JSON Schema of draft 2020-12, as OpenAPI 3.1 has it.
type schema = map[string]any

var (
	str      = schema{"type": "string"}
	integer  = schema{"type": "integer"}
	number   = schema{"type": "number"}
	boolean  = schema{"type": "boolean"}
	anything = schema{}
	// values are names and whatever stands for them.
	values = schema{"type": "object", "minProperties": 1}
)

func list(of schema) schema { return schema{"type": "array", "items": of} }

func ref(name string) schema { return schema{"$ref": "#/components/schemas/" + name} }

func oneOf(words ...string) schema { return schema{"type": "string", "enum": words} }

// nullable allows null beside what of has.
func nullable(of schema) schema { return schema{"anyOf": []schema{of, {"type": "null"}}} }

// object returns an object with at least the members given as pairs of name and schema;
// a name that ends in "?" may be missing.
func object(members ...interface{}) schema {
	properties, required := schema{}, []string{}
	for i := 0; i+1 < len(members); i += 2 {
		name, optional := strings.CutSuffix(members[i].(string), "?")
		properties[name] = members[i+1]
		if !optional {
			required = append(required, name)
		}
	}
	out := schema{"type": "object"}
	if len(properties) > 0 {
		out["properties"] = properties
	}
	if len(required) > 0 {
		out["required"] = required
	}
	return out
}

// schemas returns the ones that have a name.
func schemas() schema {
	module := object("module_id", str, "name", str, "version", str, "category", str, "platform", str, "display_name", str, "description", str,
		"entry_point", str, "status", str, "health_status", str, "is_loaded", boolean, "loaded_at", nullable(str), "error", nullable(str),
		"has_credentials", boolean, "failure_count", integer, "success_count", integer, "last_used", nullable(str), "persistent_status?", str, "registry?", nullable(object()))
	return schema{
		"Error": schema{"type": "object", "required": []string{"detail", "error", "details", "timestamp", "request_id"},
			"description": "Both dialects at once: detail as recorded from the real service (text, or the list of faults of a 422), the rest as its guide documents.",
			"properties": schema{
				"detail": schema{"anyOf": []schema{str, list(object("loc", list(anything), "msg", str, "type", str))}},
				"error":  str, "details": str, "timestamp": str, "request_id": str,
			}},
		"Health":     object("status", oneOf("ok", "healthy"), "modules_loaded", integer, "config_manager", boolean, "service", str, "version", str, "timestamp", str),
		"Principal":  object("name", str, "role", oneOf("viewer", "operator", "admin"), "scopes", list(str), "how", str),
		"Module":     module,
		"Modules":    object("modules", list(ref("Module")), "total", integer, "loaded", integer),
		"ModuleDone": object("success", boolean, "module_id", str, "message", str),
		"Finding":    object("severity", oneOf("error", "warning"), "check", str, "file?", str, "line?", integer, "text", str, "remedy?", str),
		"Adapter": object("id", str, "category", str, "platform", str, "name", str, "description", str, "icon", str, "status", str, "state", oneOf("running", "idle", "error", "disabled"),
			"health_status", str, "requires_auth", boolean, "auth_type", str, "capabilities", object(), "interval_seconds", number, "last_fetch", nullable(str), "error", nullable(str)),
		"Routing":        schema{"type": "object", "description": "In every shape recorded, and in the guide's short form; unknown members are kept."},
		"ActionRow":      object("kind", str, "key?", str, "title", str, "risk", oneOf("safe", "confirm", "typed"), "target?", str, "disabled?", str),
		"RoutingVersion": object("version", integer, "at", str, "by", object("user", str), "how", str, "why?", str, "tag", str, "added", integer, "removed", integer),
		"Decision":       object("category", str, "complexity", number, "threshold", number, "strategy", oneOf("direct", "delegate", "fallback", "none"), "tier", str, "steps", list(str)),
		"Relevant":       object("category", str, "module_id", str, "title", str, "score", number, "reasons", list(str), "at?", str, "item", anything),
		"Job":            object("id", str, "module", str, "status", str, "at", str, "items", integer, "stage", str, "cause?", str, "times?", integer, "steps?", list(object("stage", str, "queued", str))),
		"Progress":       object("id", str, "action", object("kind", str, "target", str, "actor", object("user", str, "via", str)), "status", str),
		"Token":          object("name", str, "role", oneOf("viewer", "operator", "admin"), "scopes?", list(str), "created", str, "expires?", str, "last_used?", str, "expired", boolean),
	}
}

// parameters explains the values of paths.
var parameters = map[string]string{
	"category": "a category of modules or of data", "platform": "a platform", "name": "a name", "id": "an action's id", "job": "a job's id", "version": "a version's number", "section": "a section of the console",
}

// sectionAnswers returns the schemas of all sections.
func sectionAnswers() (any []schema) {
	_, sections := sectionSchemas()
	for _, name := range state.SectionNames() {
		any = append(any, sections[name])
	}
	return any
}

// openAPIOf returns the OpenAPI document of routes.
func openAPIOf(routes []route, version string) []byte {
	paths := schema{}
	for _, rt := range routes {
		item, _ := paths[rt.pattern].(schema)
		if item == nil {
			item = schema{}
			paths[rt.pattern] = item
		}
		item[strings.ToLower(rt.method)] = rt.operation()
	}
	named, _ := sectionSchemas()
	maps.Copy(named, schemas())
	b, err := json.MarshalIndent(schema{
		"openapi": "3.1.0",
		"info": schema{"title": "opsdeck admin API", "version": version,
			"description": "The calls of a NEXUS orchestrator's admin plane in both of its dialects, and the console's actions."},
		"servers":  []schema{{"url": "/"}},
		"security": []schema{{"bearer": []string{}}, {}},
		"paths":    paths,
		"components": schema{"schemas": named, "securitySchemes": schema{"bearer": schema{
			"type": "http", "scheme": "bearer", "description": "A token of opsdeck tokens create. On loopback the engine's own user and root are operators without one."}}},
	}, "", " ")
	if err != nil {
		panic(err) // the table holds nothing that has no JSON form
	}
	return b
}

func (rt *route) operation() schema {
	params := []schema{}
	for _, part := range strings.Split(rt.pattern, "/") {
		if name := strings.Trim(part, "{}"); name != part {
			of := schema{"type": "string", "minLength": 1, "maxLength": longestName}
			if name == "section" {
				of = schema{"type": "string", "enum": state.SectionNames()}
			}
			params = append(params, schema{"name": name, "in": "path", "required": true, "description": parameters[name], "schema": of})
		}
	}
	for in, of := range map[string]map[string]string{"query": rt.query, "header": rt.headers} {
		for _, name := range slices.Sorted(maps.Keys(of)) {
			params = append(params, schema{"name": name, "in": in, "description": of[name], "schema": str})
		}
	}
	media := rt.media
	if media == "" {
		media = "application/json"
	}
	fault := func(text string) schema {
		return schema{"description": text, "content": schema{"application/json": schema{"schema": ref("Error")}}}
	}
	responses := schema{
		"200": schema{"description": "Done", "content": schema{media: schema{"schema": rt.answer}}},
		"4XX": fault("It was refused, or is not there"), "5XX": fault("It was tried and failed, or could not be tried"),
	}
	for _, status := range rt.also {
		responses[strconv.Itoa(status)] = schema{"description": http.StatusText(status)}
	}
	op := schema{"operationId": rt.id(), "summary": rt.summary, "x-role": rt.role, "parameters": params, "responses": responses}
	if rt.kind != "" {
		op["x-action"] = rt.kind
	}
	if rt.body != nil {
		op["requestBody"] = schema{"required": !rt.optional, "content": schema{"application/json": schema{"schema": rt.body, "example": json.RawMessage(rt.example)}}}
	}
	return op
}

// id returns the operation's name: getAdminModulesCategoryPlatform.
func (rt *route) id() string {
	var b strings.Builder
	b.WriteString(strings.ToLower(rt.method))
	for _, word := range strings.FieldsFunc(rt.pattern, func(r rune) bool { return strings.ContainsRune("/{}-._", r) }) {
		fmt.Fprintf(&b, "%s%s", strings.ToUpper(word[:1]), word[1:])
	}
	return b.String()
}

func (s *Server) openAPI(w http.ResponseWriter, _ *http.Request) {
	s.write(w, http.StatusOK, s.document)
}
