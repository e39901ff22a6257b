package main

import (
	"strings"
	"testing"
)

// Whatever letters names are made of, the columns stand beneath each other.
func TestTable(t *testing.T) {
	var rows table
	rows.row("NAME", "CLIENTS", "STATE")
	rows.row("shop", 0, "idle")
	rows.row("日本", 12, "works")
	rows.row("हिन्दी", 3, "works")
	rows.row("cafe\u0301", 4, "")
	var out strings.Builder
	if err := rows.print(&out); err != nil {
		t.Fatal(err)
	}
	const want = "NAME   CLIENTS  STATE\n" +
		"shop   0        idle\n" +
		"日本   12       works\n" +
		"हिन्दी  3        works\n" +
		"cafe\u0301   4        \n"
	if out.String() != want {
		t.Errorf("the table is\n%s, not\n%s", out.String(), want)
	}
}
