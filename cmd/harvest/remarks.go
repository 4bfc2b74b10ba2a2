package main

import (
	"fmt"
	"log/slog"
)

// warnings writes a plan's warnings, so many of them: sets may be worth a thousand remarks
// each, and they come last. As JSON they are whole.
func (o *output) warnings(all []string) {
	for _, w := range all[:min(len(all), maxShownRemarks)] {
		o.warning(printable(w))
	}
	if more := len(all) - maxShownRemarks; more > 0 {
		o.warning(fmt.Sprintf("and %d more: -format json has them all", more))
	}
}

// logSome logs a line for each text, so many of them, and how many more there are: a set may be
// worth a thousand.
func logSome(log *slog.Logger, message, key string, texts []string) {
	for _, t := range texts[:min(len(texts), maxShownRemarks)] {
		log.Warn(message, key, printable(t))
	}
	if more := len(texts) - maxShownRemarks; more > 0 {
		log.Warn(message, "more", more, "hint", "harvest plan -format json has them all")
	}
}
