package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opsdeck/opsdeck/backend/disk"
	"github.com/opsdeck/opsdeck/backend/state"
)

// Shapes are the kinds of module that [Scaffold] writes.
var Shapes = []string{"full", "short", "http", "sh"}

// Scaffold writes a new module into a folder of modules: one that passes its own
// tests and its validation, to begin from. It overwrites nothing. It gives the files
// that it wrote, by their paths in the folder.
func Scaffold(modulesDir, id, shape string) ([]string, error) {
	category, platform, ok := strings.Cut(id, "/")
	if !ok || !valid(category) || !valid(platform) {
		return nil, fmt.Errorf("a module is named CATEGORY/PLATFORM, each of letters, digits, dots, dashes and underscores: %q is not", state.Clean(id))
	}
	if !slices.Contains(Shapes, shape) {
		return nil, fmt.Errorf("the shape %q is none of %s", state.Clean(shape), strings.Join(Shapes, ", "))
	}
	dir := filepath.Join(modulesDir, category, platform)
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("%s is there already: nothing was written", dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	// As a whole, or not at all: an engine may look at any time.
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return nil, err
	}
	var names []string
	for name, text := range scaffolded(category, platform, shape) {
		mode := fs.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(tmp, name), []byte(text), mode); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	if disk.Exists(dir) { // a rename would replace an empty folder
		return nil, fmt.Errorf("%s is there already: nothing was written", dir)
	}
	return names, os.Rename(tmp, dir)
}

// scaffolded returns the files of a new module, by name.
func scaffolded(category, platform, shape string) map[string]string {
	class := className(platform)
	manifest := map[string]any{"name": platform, "version": "0.1.0", "category": category, "platform": platform, "description": "What it fetches, in a line."}
	text := func(s string) string {
		return strings.NewReplacer("CLASS", class, "CATEGORY", fmt.Sprintf("%q", category), "PLATFORM", fmt.Sprintf("%q", platform)).Replace(s)
	}
	files := map[string]string{}
	switch shape {
	case "full":
		manifest["display_name"], manifest["entry_point"], manifest["class_name"], manifest["test_file"] = platform, "adapter.py", class, "test_adapter.py"
		manifest["auth_type"], manifest["python_dependencies"], manifest["requires_api_key"] = "none", []string{}, false
		files["adapter.py"], files["test_adapter.py"] = text(fullAdapter), text(fullTests)
	case "short":
		manifest["adapter_class"], manifest["adapter_file"], manifest["required_credentials"] = class, "adapter.py", []string{}
		files["adapter.py"], files["test_adapter.py"] = text(shortAdapter), text(shortTests)
	case "http":
		manifest["test_file"] = "test_adapter.py"
		manifest["http"] = map[string]any{"url": "http://127.0.0.1:8080/status", "transform": ". | if type == \"array\" then .[] else . end"}
		files["test_adapter.py"] = httpTests
	case "sh":
		manifest["entry_point"], manifest["test_file"], manifest["auth_type"] = "adapter.sh", "test_adapter.py", "none"
		files["adapter.sh"], files["test_adapter.py"] = scriptAdapter, scriptTests
	}
	b, _ := json.MarshalIndent(manifest, "", "  ")
	files["manifest.json"] = string(b) + "\n"
	return files
}

// className returns a Python class's name after a platform's.
func className(platform string) string {
	var b strings.Builder
	up := true
	for _, r := range platform {
		if r == '_' || r == '-' || r == '.' {
			up = true
			continue
		}
		if up {
			b.WriteString(strings.ToUpper(string(r)))
		} else {
			b.WriteRune(r)
		}
		up = false
	}
	name := b.String() + "Adapter"
	if name[0] >= '0' && name[0] <= '9' {
		name = "The" + name
	}
	return name
}

const fullAdapter = `"""Fetches what this module is for."""
import time

from shared.adapters.base import AdapterConfig, BaseAdapter
from shared.adapters.registry import register_adapter


@register_adapter(category=CATEGORY, platform=PLATFORM, display_name=PLATFORM, description="", icon="", requires_auth=False, auth_type="none")
class CLASS(BaseAdapter[dict]):
    category = CATEGORY
    platform = PLATFORM

    async def fetch_raw(self, config: AdapterConfig):
        # Ask the upstream here; config.credentials and config.settings are given.
        return {"value": 1, "at": time.time()}

    def transform(self, raw):
        # What it gives: a list of items, each of which has a JSON form.
        return [{"value": raw["value"], "timestamp": raw["at"]}]

    def get_capabilities(self):
        return {"read": True, "write": False}
`

const fullTests = `import asyncio

from adapter import CLASS
from shared.adapters.base import AdapterConfig


def test_transform_gives_items():
    assert CLASS().transform({"value": 2, "at": 5.0}) == [{"value": 2, "timestamp": 5.0}]


def test_fetch():
    result = asyncio.run(CLASS().fetch(AdapterConfig(category=CATEGORY, platform=PLATFORM)))
    assert result.success, result.error
    assert len(result.data) == 1
`

const shortAdapter = `"""Fetches what this module is for."""
import time

from shared.adapters.base import AdapterResult, BaseAdapter, register_adapter


@register_adapter
class CLASS(BaseAdapter[dict]):
    def __init__(self):
        super().__init__(category=CATEGORY, platform=PLATFORM, credentials_required=[])

    async def fetch_raw(self):
        # Ask the upstream here; self._get_credential(name) gives what is stored.
        return {"value": 1, "at": time.time()}

    def transform(self, raw):
        return AdapterResult(data=[{"value": raw["value"], "timestamp": raw["at"]}], metadata={}, errors=[])
`

const shortTests = `import asyncio

from adapter import CLASS


def test_transform_gives_items():
    result = CLASS().transform({"value": 2, "at": 5.0})
    assert result.data == [{"value": 2, "timestamp": 5.0}]
    assert result.errors == []


def test_fetch_raw():
    assert "value" in asyncio.run(CLASS().fetch_raw())
`

const httpTests = `import json
import os


def test_manifest_names_a_url():
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "manifest.json")) as f:
        assert json.load(f)["http"]["url"].startswith(("http://", "https://"))
`

const scriptAdapter = `#!/bin/sh
# Speaks JSON lines with the engine. A fetch is answered with a list of items.
echo '{"op":"hello","protocol":1}'
while read -r line; do
  case $line in
    '{"op":"configure"'*) echo '{"op":"ready"}' ;;
    '{"op":"fetch"'*) echo '{"op":"result","data":[{"value":1,"timestamp":'"$(date +%s)"'}]}' ;;
    '{"op":"bye"'*) exit 0 ;;
  esac
done
`

const scriptTests = `import json
import os
import subprocess

ADAPTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "adapter.sh")


def test_it_answers_a_fetch():
    asked = "".join(json.dumps(m, separators=(",", ":")) + "\n" for m in ({"op": "configure"}, {"op": "fetch", "id": 1}, {"op": "bye"}))
    said = subprocess.run([ADAPTER], input=asked, capture_output=True, text=True, timeout=10).stdout
    ops = [json.loads(line) for line in said.splitlines()]
    assert [m["op"] for m in ops] == ["hello", "ready", "result"]
    assert ops[2]["data"][0]["value"] == 1
`
