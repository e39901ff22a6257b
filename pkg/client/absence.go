package client

import "sync"

// absence is the time in which a session has no bridge. What is said in it is said where
// it can be taken back.
type absence struct {
	to Sink

	mu   sync.Mutex // guards what follows; held while something is said
	said bool       // something was
	over bool
}

// say says something, unless the absence is over.
func (a *absence) say(line string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return
	case a.to.Away != nil:
		a.to.Away(line)
	default:
		a.to.notice(line)
	}
	a.said = true
}

// lasts says something if nothing that says more was said.
func (a *absence) lasts(line string) {
	a.mu.Lock()
	said := a.said
	a.mu.Unlock()
	if !said {
		a.say(line)
	}
}

// end takes back what was said.
func (a *absence) end(back bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return
	}
	a.over = true
	switch {
	case !a.said:
	case a.to.Away != nil:
		a.to.Away("")
	case back:
		a.to.notice("the bridge is back")
	}
}
