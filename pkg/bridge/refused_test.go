package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/AgentaaU/AaaU/pkg/audit"
	"github.com/AgentaaU/AaaU/pkg/journal"
	"github.com/AgentaaU/AaaU/pkg/peer"
	"github.com/AgentaaU/AaaU/pkg/wire"
)

// denials are what a record has of refusals: the records of one each, and those of more.
func denials(t *testing.T, dir string) (one int, more []audit.Denied, all int) {
	t.Helper()
	for e, err := range audit.Read(dir, audit.BridgeChain) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != audit.KindDenied {
			continue
		}
		m, err := e.Decode()
		if err != nil {
			t.Fatal(err)
		}
		d := *m.(*audit.Denied)
		if d.More == 0 {
			one, all = one+1, all+1
			continue
		}
		more, all = append(more, d), all+d.More
	}
	return one, more, all
}

// refuser is a bridge that refuses, in a bubble of synctest's.
type refuser struct {
	*Bridge
	dir  string
	said bytes.Buffer
}

func newRefuser(t *testing.T) *refuser {
	r := &refuser{dir: t.TempDir()}
	store, err := audit.Open(r.dir, audit.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	r.Bridge = &Bridge{Record: store, Log: journal.To(&r.said)}
	r.refused.allowed.every, r.looks.every = refusedEvery, looksEvery
	return r
}

func (r *refuser) refuse(uid uint32, times int) {
	c := &client{b: r.Bridge, id: 1, user: fmt.Sprint(uid), who: peer.Peer{UID: uid, PID: 7}}
	for i := range times {
		r.tellRefused(c, "", fmt.Sprintf("no, time %d", i+1))
	}
}

// Who is refused without end fills neither the record nor the journal, and none of it goes
// untold.
func TestRefusalsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefuser(t)
		began := seconds(time.Now())
		r.refuse(1000, maxAtOnce+50)
		time.Sleep(heldFor / 2)
		r.refuse(1000, 1) // though one might be told again
		r.refuse(1001, 1) // somebody else
		if one, more, all := denials(t, r.dir); one != maxAtOnce+1 || all != one {
			t.Errorf("of them stand there %d by themselves, and %v", one, more)
		}
		time.Sleep(heldFor)
		one, more, all := denials(t, r.dir)
		if one != maxAtOnce+1 || len(more) != 1 || all != maxAtOnce+52 {
			t.Fatalf("of them stand there %d by themselves, and %v", one, more)
		}
		if m := more[0]; m.UID != 1000 || m.PID != 7 || m.Several || m.Since != began || m.Until != began+heldFor.Seconds()/2 {
			t.Errorf("%+v, from %v on", m, began)
		}
		r.refuse(1000, 100) // some are told again, one by one
		r.tellHeldBack()
		one2, more, all := denials(t, r.dir)
		if got := one2 - one; got != 15 || len(more) != 2 || all != maxAtOnce+152 {
			t.Errorf("later stand there %d by themselves, and %v", got, more)
		}
		if lines := strings.Count(r.said.String(), " (uid 1000), pid 7: "); lines != one2-1+2 || !strings.HasSuffix(r.said.String(), `"no, time 100", the last of 85 within 0s`+"\n") {
			t.Errorf("the journal has %d lines: %s", lines, r.said.String())
		}
		// What has begun to wait is over: nothing is done when nothing is refused.
		time.Sleep(time.Hour)
		if _, _, again := denials(t, r.dir); again != all {
			t.Errorf("%d are %d an hour later", all, again)
		}
	})
}

// Somebody with thousands of uids has not thousands of allowances.
func TestRefusalsOfManyUsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRefuser(t)
		const users, times = 500, 20
		for range times {
			for uid := range uint32(users) {
				r.refuse(10_000+uid, 1)
			}
		}
		if n := len(r.refused.allowed.full); n != maxAllowed+1 {
			t.Errorf("%d have an allowance", n)
		}
		r.tellHeldBack()
		one, more, all := denials(t, r.dir)
		if one != maxAllowed*times+maxAtOnce || len(more) != 1 || all != users*times || !more[0].Several {
			t.Errorf("of them stand there %d by themselves, and %+v", one, more)
		}
		time.Sleep(time.Hour) // they have all of it again, and make room for others
		r.refuse(10_000+users, 1)
		if n := len(r.refused.allowed.full); n != 1 {
			t.Errorf("%d have an allowance", n)
		}
	})
}

// Looks back beyond what may be told wait until they may: none is told together with others.
func TestLooksWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := allowance{every: looksEvery}
		began := time.Now()
		look := func(ctx context.Context) error { return a.wait(ctx, 1000) }
		for range maxAtOnce {
			if err := look(t.Context()); err != nil || time.Since(began) != 0 {
				t.Fatal(time.Since(began), err)
			}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		for range 1000 { // who does not wait takes nothing from who does
			if err := look(gone); !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		var waiting sync.WaitGroup
		for range maxBackPerUser {
			waiting.Go(func() {
				if err := look(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		waiting.Wait()
		if took := time.Since(began); took != maxBackPerUser*looksEvery {
			t.Errorf("%d take %v", maxBackPerUser, took)
		}
		if err := a.wait(t.Context(), 1001); err != nil || time.Since(began) != maxBackPerUser*looksEvery {
			t.Errorf("another user waits too: %v %v", time.Since(began), err)
		}
	})
}

// A bridge that ends tells what it has held back.
func TestRefusalsAtTheEnd(t *testing.T) {
	h := start(t, nil)
	const times = maxAtOnce + 100
	for range times {
		if _, err := h.open(wire.OpenRequest{Attach: "nosuch"}); err == nil {
			t.Fatal("there is such a session")
		}
	}
	if err := h.stop(); err != nil {
		t.Error(err)
	}
	one, more, all := denials(t, h.record)
	if one > maxAtOnce+50 || len(more) == 0 || all != times {
		t.Errorf("of %d there are %d by themselves, and %+v", times, one, more)
	}
	if r, err := audit.Verify(h.record, audit.BridgeChain, nil, nil); err != nil || r.Problem != nil {
		t.Error(r.Problem, err)
	}
}

// Each look is in the record, though it has waited.
func TestLooksAreTold(t *testing.T) {
	h := start(t, nil)
	h.sh("exit 0")
	const looks, every = 5, 20 * time.Millisecond
	h.looks.mu.Lock()
	h.looks.every = every
	h.looks.mu.Unlock()
	began := time.Now()
	for range maxAtOnce {
		h.looks.take(uint32(os.Getuid()))
	}
	asking := h.asking()
	for range looks {
		if _, err := asking.Search(t.Context(), "", wire.Query{Text: "x"}, func(wire.Found) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < looks*every {
		t.Errorf("%d looks beyond what may be told took %v", looks, took)
	}
	n := 0
	for e, err := range audit.Read(h.record, audit.BridgeChain) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == audit.KindControl {
			n++
		}
	}
	if n != looks {
		t.Errorf("of %d looks %d are told", looks, n)
	}
}
