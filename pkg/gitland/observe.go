package gitland

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/AgentaaU/AaaU/pkg/gitindex"
)

const (
	mostRefs  = 100_000   // that a session's repository may have
	mostIndex = 256 << 20 // bytes of its index
	mostHead  = 4096      // bytes of its file HEAD
)

// observeSession reads the session's repository, of which nothing is believed. told are the refs
// that are left out, and why. known are refs that the base has, which no new one may be mistaken
// for. While somebody works in the repository it is errLater.
func (l *Lander) observeSession(ctx context.Context, known map[string]string) (s State, told []string, err error) {
	for range 3 {
		before, err := l.sessionIndex(ctx)
		if err != nil {
			return s, nil, err
		}
		s, told, err = l.sessionRefs(ctx, known)
		if err != nil {
			return s, told, err
		}
		after, err := l.sessionIndex(ctx)
		if err != nil {
			return s, nil, err
		}
		again, _, err := l.sessionRefs(ctx, known)
		if err != nil {
			return s, nil, err
		}
		if slices.Equal(before, after) && same(s, again) {
			s.Index = after
			return s, told, nil
		}
	}
	return s, nil, errLater
}

// same says whether two looks at refs and HEAD saw the same.
func same(a, b State) bool {
	if a.Head != b.Head || len(a.Refs) != len(b.Refs) || a.Rebasing != b.Rebasing || !maps.Equal(a.Pending, b.Pending) {
		return false
	}
	for name, id := range a.Refs {
		if b.Refs[name] != id {
			return false
		}
	}
	return true
}

// sessionIndex reads the index, unless git is writing it at this moment.
func (l *Lander) sessionIndex(ctx context.Context) ([]gitindex.Entry, error) {
	if _, err := l.Session.File(ctx, "index.lock", 1); !errors.Is(err, fs.ErrNotExist) {
		return nil, errLater
	}
	text, err := l.Session.File(ctx, "index", mostIndex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the session's index: %w", err)
	}
	entries, err := parseIndex(text)
	if err != nil {
		return nil, fmt.Errorf("reading the session's index: %w", err)
	}
	return entries, nil
}

// sessionRefs asks for refs as git does of any server, and reads HEAD.
func (l *Lander) sessionRefs(ctx context.Context, known map[string]string) (s State, told []string, err error) {
	out, err := l.Person.git(ctx, "", "ls-remote", "--upload-pack="+l.Session.UploadPack, l.Session.URL)
	if err != nil {
		return s, nil, err
	}
	if strings.Count(out, "\n") > mostRefs {
		return s, nil, fmt.Errorf("the session's repository has more than %d refs", mostRefs)
	}
	text, err := l.Session.File(ctx, "HEAD", mostHead)
	if err != nil {
		return s, nil, fmt.Errorf("reading the session's HEAD: %w", err)
	}
	if s.Head, err = parseHead(text); err != nil {
		return s, nil, fmt.Errorf("reading the session's HEAD: %w", err)
	}
	if s.Head.Ref != "" {
		if err := checkName(s.Head.Ref); err != nil {
			return s, nil, fmt.Errorf("the session's HEAD: %w", err)
		}
	}
	err = s.unfinished(func(name string, most int64) ([]byte, error) { return l.Session.File(ctx, name, most) })
	if err != nil {
		return s, nil, fmt.Errorf("in the session: %w", err)
	}
	s.Refs = map[string]string{}
	names := map[string]string{} // in lower case, to the names
	for name := range known {
		names[strings.ToLower(name)] = name
	}
	for line := range strings.Lines(out) {
		id, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || !isHex(id) {
			return s, nil, errors.New("git ls-remote printed what is no ref")
		}
		if name == "refs/stash" {
			s.Stash = id
		}
		if !strings.HasPrefix(name, "refs/") || name == "refs/stash" || strings.HasPrefix(name, "refs/remotes/") || strings.HasSuffix(name, "^{}") {
			continue
		}
		if err := checkName(name); err != nil {
			told = append(told, fmt.Sprintf("%q is not landed: %v", name, err))
		} else if other := twin(names, name); other != "" {
			told = append(told, fmt.Sprintf("%s is not landed: it differs from %s only in case", name, other))
		} else {
			names[strings.ToLower(name)] = name
			s.Refs[name] = id
		}
	}
	return s, told, nil
}
