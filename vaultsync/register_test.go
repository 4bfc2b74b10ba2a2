package vaultsync

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// register is a mount's entry, and keeps count of what happens to keys.
type register struct {
	mu        sync.Mutex
	entry     json.RawMessage
	keys      map[string]bool      // names of the trusted keys
	published map[string]bool      // what the clusters publish by now
	gone      map[string]bool      // removed since they were published no more
	lostAt    map[string]time.Time // trusted once, published still, and undone by another's write
	heals     []time.Duration
	back      int // times that a removed key came back
}

func newRegister() *register {
	return &register{
		keys: map[string]bool{}, published: map[string]bool{}, gone: map[string]bool{}, lostAt: map[string]time.Time{},
	}
}

func (r *register) publish(names ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range names {
		r.published[name] = true
	}
}

func (r *register) withdraw(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.published, name)
}

func (r *register) read() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return []byte(`{"data":` + string(r.entry) + `}`)
}

func (r *register) write(body []byte) {
	list := listIn(body)
	if len(list) == 0 {
		panic(fmt.Sprintf("Vault takes no such configuration: %s", body))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := map[string]bool{}
	for _, element := range list {
		keys[kid(element)] = true
	}
	for name := range r.keys {
		switch {
		case keys[name]:
		case r.published[name]:
			r.lostAt[name] = time.Now()
		default:
			r.gone[name] = true
		}
	}
	for name := range keys {
		if at, lost := r.lostAt[name]; lost {
			r.heals = append(r.heals, time.Since(at))
			delete(r.lostAt, name)
		}
		if r.gone[name] && !r.keys[name] {
			r.back++
		}
	}
	r.keys, r.entry = keys, body
}

// list returns the elements.
func (r *register) list() []string { return listIn(r.entry) }

func listIn(body []byte) []string {
	var entry struct {
		Keys []string `json:"jwt_validation_pubkeys"`
	}
	if err := json.Unmarshal(body, &entry); err != nil {
		panic(err)
	}
	return entry.Keys
}

// others returns the fields beside the keys.
func (r *register) others() map[string]any {
	var entry map[string]any
	if err := json.Unmarshal(r.entry, &entry); err != nil {
		panic(err)
	}
	delete(entry, keysField)
	return entry
}

// kid is that of an element's annotation, or "foreign".
func kid(element string) string {
	_, rest, _ := strings.Cut(element, ` kid="`)
	kid, _, found := strings.Cut(rest, `"`)
	if !found {
		return "foreign"
	}
	return kid
}
