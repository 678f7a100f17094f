package admin

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/opsdeck/opsdeck/backend/state"
)

// sectionSchemas returns the schemas of the sections' JSON forms by the names under
// which the document has them, and those of the sections by theirs. They are read from
// the types, so that a new section is documented by being registered.
func sectionSchemas() (all schema, sections map[state.SectionName]schema) {
	all, sections = schema{}, map[state.SectionName]schema{}
	for _, name := range state.SectionNames() {
		sections[name] = schemaOf(reflect.TypeOf(state.NewSection(name)), all)
	}
	return all, sections
}

// schemaOf returns the schema of a type, and puts those of the structs in it into all.
func schemaOf(t reflect.Type, all schema) schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return schema{"type": "string", "format": "date-time"}
	case t.Implements(reflect.TypeFor[json.Marshaler]()):
		return anything
	case t.Implements(reflect.TypeFor[encoding.TextMarshaler]()):
		return str
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), all)
	case reflect.String:
		return str
	case reflect.Bool:
		return boolean
	case reflect.Float32, reflect.Float64:
		return number
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return str
		}
		return nullable(list(schemaOf(t.Elem(), all)))
	case reflect.Map:
		return nullable(schema{"type": "object", "additionalProperties": schemaOf(t.Elem(), all)})
	case reflect.Struct:
		name := "State." + t.Name()
		if _, known := all[name]; !known {
			s := schema{"type": "object"}
			all[name] = s // before its members: one may hold another of the kind
			properties := schema{}
			for _, f := range reflect.VisibleFields(t) {
				tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				if !f.IsExported() || tag == "-" || f.Anonymous {
					continue
				}
				if tag == "" {
					tag = f.Name
				}
				properties[tag] = schemaOf(f.Type, all)
			}
			s["properties"] = properties
		}
		return ref(name)
	case reflect.Interface:
		return anything
	}
	return integer
}
