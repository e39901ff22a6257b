package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The aaau.conf that is installed names every key with its default, and so does the manual.
func TestEveryKeyIsShipped(t *testing.T) {
	text, err := os.ReadFile("../../packaging/aaau.conf")
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("../../docs/man/aaau-server.8")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^#([a-z-]+)=(.*)$`).FindAllStringSubmatch(string(text), -1)
	got := Config{MaxTapes: Defaults().MaxTapes} // which depends on the machine
	var named []string
	for _, line := range lines {
		key, value := line[1], line[2]
		named = append(named, key)
		into := &got
		if key == "max-tapes" {
			into = new(Config)
		}
		if err := settings.set(into, key, value); err != nil {
			t.Errorf("%s=%s: %v", key, value, err)
		}
		in := "\n.It Li " + key + "=" + value + "\n"
		if key == "max-tapes" {
			in = "\n.It Li max-tapes= Ns Ar size\n"
		}
		if !strings.Contains(string(manual), in) {
			t.Errorf("the manual does not have %q", in)
		}
	}
	if want := Defaults(); !reflect.DeepEqual(got, want) {
		t.Errorf("its defaults are %+v, not %+v", got, want)
	}
	keys := settings.names()
	slices.Sort(keys)
	slices.Sort(named)
	if !slices.Equal(keys, named) {
		t.Errorf("it names %v, and the keys are %v", named, keys)
	}
	// As it is shipped it changes nothing.
	c, err := tree(t, map[string]string{"etc/aaau.conf": string(text)}).Load()
	if err != nil || !reflect.DeepEqual(c, Defaults()) {
		t.Errorf("read as it is: %+v, %v", c, err)
	}
}
