package main

import (
	"io"
	"maps"
	"testing"
)

func TestJudgeGuard(t *testing.T) {
	want := &recorded{Cases: map[string]guardCase{"a": {Allocations: 10, Time: 0.5}, "b": {Allocations: 1, Time: 1}}}
	for name, test := range map[string]struct {
		a    guardCase
		fine bool
	}{
		"the same":                 {guardCase{10, 0.5}, true},
		"faster":                   {guardCase{10, 0.1}, true},
		"twice the time":           {guardCase{10, 1}, true},
		"more than twice the time": {guardCase{10, 1.01}, false},
		"one allocation more":      {guardCase{11, 0.5}, false},
		"one allocation less":      {guardCase{9, 0.5}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got := &recorded{Cases: maps.Clone(want.Cases)}
			got.Cases["a"] = test.a
			if err := judgeGuard(want, got, io.Discard); (err == nil) != test.fine {
				t.Error(err)
			}
		})
	}
	if judgeGuard(want, &recorded{Cases: map[string]guardCase{"a": want.Cases["a"]}}, io.Discard) == nil {
		t.Error("a case went missing")
	}
}
