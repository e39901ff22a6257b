package audit

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
)

// schema is docs/audit.schema.json, as other people's validators see it.
func schema(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	var s jsonschema.Schema
	ok(t, json.Unmarshal([]byte(contents(t, filepath.Join("..", "..", "docs", "audit.schema.json"))), &s))
	r, err := s.Resolve(nil)
	ok(t, err)
	return r
}

func instance(t *testing.T, line string) map[string]any {
	t.Helper()
	var v map[string]any
	ok(t, json.Unmarshal([]byte(line), &v))
	return v
}

func TestSchema(t *testing.T) {
	s := schema(t)
	dir := t.TempDir()
	sample(t, dir, 3000)
	all := append(lines(t, dir, BridgeChain), lines(t, dir, "s1")...)
	seen := map[Kind]bool{}
	for _, line := range all {
		v := instance(t, line)
		seen[Kind(v["command_type"].(string))] = true
		if err := s.Validate(v); err != nil {
			t.Errorf("%s\n%v", line, err)
		}
		// It is exact: it knows nothing else, and it is of this kind only.
		v["metadata"].(map[string]any)["other"] = 1
		if s.Validate(v) == nil {
			t.Errorf("with other metadata: %s", line)
		}
		v = instance(t, line)
		v["other"] = 1
		if s.Validate(v) == nil {
			t.Errorf("with another field: %s", line)
		}
		for field := range instance(t, line) {
			v := instance(t, line)
			delete(v, field)
			if s.Validate(v) == nil {
				t.Errorf("without %s: %s", field, line)
			}
		}
		v = instance(t, line)
		v["command_type"] = "sudo"
		if s.Validate(v) == nil {
			t.Errorf("of an unknown kind: %s", line)
		}
	}
	for _, k := range []Kind{
		KindSessionStart, KindSessionEnd, KindAttach, KindDetach, KindInput, KindOutput, KindResize,
		KindControl, KindDenied, KindBridgeStart, KindBridgeResume, KindSegment, KindRetention, KindHole, KindChanges,
	} {
		if !seen[k] {
			t.Errorf("no record of kind %s was validated", k)
		}
		if m := newMetadata(k); m == nil || m.Kind() != k {
			t.Errorf("%s reads as %T", k, m)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	s := schema(t)
	dir := t.TempDir()
	sample(t, dir, 1<<20)
	for _, line := range append(lines(t, dir, BridgeChain), lines(t, dir, "s1")...) {
		for _, change := range []struct{ kind, old, new string }{
			{"input", `"source":"human"`, `"source":"agent"`},
			{"input", `"source":"human"`, `"source":"system"`},
			{"input", `"source":"system"`, `"source":"human"`},
			{"input", `"uid":1000,"loginuid"`, `"loginuid"`},
			{"input", `"uid":1000`, `"uid":-1`},
			{"input", `"withheld":"password"`, `"withheld":"whim"`},
			{"output", `"source":"agent"`, `"source":"human"`},
			{"output", `"stream":"output"`, `"stream":"stdout"`},
			{"output", `"offset":`, `"offset":-1`},
			{"control", `"action":"kill"`, `"action":"share"`},
			{"control", `"action":"thaw"`, `"action":"melt"`},
			{"attach", `"prev":"`, `"prev":"0`},
			{"session_end", `"status":0`, `"status":"0"`},
			{"bridge_start", `"pid":`, `"pid":0.`},
			{"denied", `"since":1795608000.123456,`, ``},
			{"denied", `"more":7,`, ``},
			{"denied", `"more":7`, `"more":0`},
			{"denied", `"several":true`, `"several":false`},
			{"hole", `"source":"system"`, `"source":"agent"`},
			{"hole", `"bytes":`, `"bytes":-`},
		} {
			if !strings.Contains(line, `"command_type":"`+change.kind+`"`) || !strings.Contains(line, change.old) {
				continue
			}
			changed := strings.Replace(line, change.old, change.new, 1)
			if json.Valid([]byte(changed)) && s.Validate(instance(t, changed)) == nil {
				t.Errorf("%s is valid", changed)
			}
		}
	}
}

// The metadata types and the schema have the same fields, so that neither has one the
// other lacks.
func TestSchemaFields(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "audit.schema.json"))
	ok(t, err)
	dir := t.TempDir()
	sample(t, dir, 3000)
	used := map[string]bool{}
	for _, e := range append(entries(t, dir, BridgeChain), entries(t, dir, "s1")...) {
		var m map[string]any
		ok(t, json.Unmarshal(e.Metadata, &m))
		for field := range m {
			used[string(e.Kind)+"."+field] = true
		}
	}
	var s struct {
		Defs map[string]struct {
			Properties map[string]any
			OneOf      []struct{ Properties map[string]any }
		} `json:"$defs"`
	}
	ok(t, json.Unmarshal(text, &s))
	for kind, def := range s.Defs {
		if newMetadata(Kind(kind)) == nil {
			continue
		}
		fields := def.Properties
		for _, one := range def.OneOf {
			for f := range one.Properties {
				if fields == nil {
					fields = map[string]any{}
				}
				fields[f] = nil
			}
		}
		for f := range fields {
			// The sample has no crash in it.
			if !used[kind+"."+f] && f != "cut" && f != "damaged" {
				t.Errorf("the schema has %s.%s, which no record of the sample has", kind, f)
			}
		}
	}
}
