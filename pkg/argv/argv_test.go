package argv

import (
	"encoding/json"
	"slices"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, a := range []Argv{{}, {"ls", "-l"}, {"", "a b", "ä", "\"\\\n\x1b"}, {"cat", "caf\xe9", "\xff\xfe"}} {
		b, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		var got Argv
		if err := json.Unmarshal(b, &got); err != nil || !slices.Equal(got, a) {
			t.Errorf("%q became %s and then %q, %v", a, b, got, err)
		}
	}
	if b, _ := json.Marshal(Argv{"ls", "ä", "a<b"}); string(b) != `["ls","ä",{"base64":"YTxi"}]` {
		t.Errorf("%s", b)
	}
}

func TestRefusals(t *testing.T) {
	for _, in := range []string{`"ls"`, `[1]`, `[["a"]]`, `[{"base64":"!"}]`, `[{"other":""}]`, `["a\u0000"]`, `[{"base64":"AA=="}]`, `[`} {
		var got Argv
		if err := json.Unmarshal([]byte(in), &got); err == nil {
			t.Errorf("%s became %q", in, got)
		}
	}
}

// Whoever copies a command line into a shell runs the same program with the same words.
func TestCommand(t *testing.T) {
	for want, words := range map[string]Argv{
		"":                              nil,
		"claude --resume":               {"claude", "--resume"},
		"sh -c 'echo \"$HOME\"; id'":    {"sh", "-c", `echo "$HOME"; id`},
		`echo 'it'\''s' '' é 'a=b/c~d'`: {"echo", "it's", "", "é", "a=b/c~d"},
	} {
		if got := words.Command(); got != want {
			t.Errorf("%q: %s", []string(words), got)
		}
	}
}
