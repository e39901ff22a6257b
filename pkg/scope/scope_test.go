package scope

import "testing"

func TestIsName(t *testing.T) {
	for name, want := range map[string]bool{
		Name("shell", "k3j9x2mq7a"):        true,
		Name("my_profile2", "0"):           true,
		"aaau-shell-.scope":                false,
		"aaau--k3j9x2mq7a.scope":           false,
		"aaau-a-b-c.scope":                 false,
		"aaau-shell-K3.scope":              false,
		"aaau-shell-k3.service":            false,
		"ssh.service":                      false,
		"aaau.slice":                       false,
		"aaau-shell-k3.scope\n":            false,
		"aaau-shell-../k3.scope":           false,
		"aaau-shell-*.scope":               false,
		"":                                 false,
		Name("shell", "k3") + ".d/x.scope": false,
	} {
		if IsName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
