// Package suggest finds the word that somebody may have meant who mistyped it.
package suggest

import "sort"

// maxWord bounds the words that are compared, in bytes.
const maxWord = 64

// Nearest returns the word that is nearest to what was typed, or "" if none is near: one
// wrong, missing, surplus or swapped letter is near, in words of six letters and more
// two are. Of equally near words it is the first in alphabetical order.
func Nearest(typed string, words []string) string {
	words = append([]string(nil), words...)
	sort.Strings(words)
	best, least := "", 3
	for _, w := range words {
		if n, allowed := Distance(typed, w), allowed(w); n <= allowed && n < least {
			best, least = w, n
		}
	}
	return best
}

func allowed(word string) int {
	switch {
	case len(word) < 3:
		return 0
	case len(word) < 6:
		return 1
	}
	return 2
}

// Distance is how many letters must be changed, added, left out or swapped with their
// neighbour to make one word of the other. Words that are too long are far apart.
func Distance(a, b string) int {
	if len(a) > maxWord || len(b) > maxWord {
		return 2 * maxWord
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
