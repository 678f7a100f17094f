package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestModuleJSONHasTheRecordedMembers(t *testing.T) {
	var rec struct {
		Response struct{ Body map[string]any }
	}
	text, err := os.ReadFile(filepath.Join(contractDir, "admin-api/03-module-get.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &rec); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, nil)
	r.copyIn(modulesDir, "modules")
	r.start(Config{Python: "none"})
	r.module("host/disk", "runs", healthy)
	for _, id := range []string{"host/disk", "host/load", "weather/openweather"} {
		got, err := r.e.Modules().JSON(id, true)
		if err != nil {
			t.Fatal(err)
		}
		for k := range rec.Response.Body {
			if _, ok := got[k]; !ok {
				t.Errorf("%s: the member %q is missing", id, k)
			}
		}
		for k := range rec.Response.Body["registry"].(map[string]any) {
			if _, ok := got["registry"].(map[string]any)[k]; !ok {
				t.Errorf("%s: the member registry.%s is missing", id, k)
			}
		}
		if _, err := json.Marshal(got); err != nil {
			t.Error(err)
		}
	}
	if got := r.e.Modules().AllJSON(); got["total"] != 3 || got["loaded"] != 1 {
		t.Errorf("total %v, loaded %v", got["total"], got["loaded"])
	}
	for range 2 { // once made, once kept
		want, _ := json.Marshal(r.e.Modules().AllJSON())
		if got, err := r.e.Modules().Text(); err != nil || !sameJSON(string(got), string(want)) {
			t.Errorf("the text is not that of the value: %s, %v", got, err)
		}
	}
	for _, v := range []any{r.e.Health(), r.e.SystemInfo(), r.e.Routing().Providers(), r.e.Delivered().Context} {
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	}
}
