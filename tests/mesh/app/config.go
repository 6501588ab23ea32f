package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// config is what one pod is and does.
type config struct {
	podIP, pod, version string
	ports               []string
	errors              float64 // percent of requests answered 500
	latency             time.Duration
	startup             time.Duration  // before it listens
	crashAfter          *time.Duration // after it listens; nil: never
	drain               time.Duration  // from SIGTERM until it listens no more
	ignoreTerm          bool
}

// configOf reads the words of the image's tag, then the environment, which wins.
func configOf(env func(string) string) (config, error) {
	c := config{podIP: env("POD_IP"), pod: env("POD_NAME")}
	if c.podIP == "" {
		return c, errors.New("POD_IP is empty: it must be the address to listen on")
	}
	ports, err := portsOf(env("PORTS"))
	if err != nil {
		return c, err
	}
	c.ports = ports
	version, words, _ := strings.Cut(tag(env("IMAGE")), "-")
	c.version = version
	for word := range strings.SplitSeq(words, "-") {
		c.readWord(word)
	}
	return c, c.readEnv(env)
}

// setting is one behaviour under its two names.
type setting struct {
	word, variable string
	set            func(value string) error
}

func (c *config) settings() []setting {
	duration := func(to *time.Duration) func(string) error {
		return func(value string) error {
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return errors.New("a duration such as 20ms or 3s, not negative")
			}
			*to = d
			return nil
		}
	}
	return []setting{
		{"errors", "ERRORS", func(value string) error {
			percent, err := strconv.ParseFloat(value, 64)
			if err != nil || !(percent >= 0 && percent <= 100) {
				return errors.New("a percentage from 0 to 100 without a sign, such as 5 or 0.5")
			}
			c.errors = percent
			return nil
		}},
		{"slow", "LATENCY", duration(&c.latency)},
		{"start", "STARTUP", duration(&c.startup)},
		{"crash", "CRASH_AFTER", func(value string) error {
			var after time.Duration
			if err := duration(&after)(value); err != nil {
				return err
			}
			c.crashAfter = &after
			return nil
		}},
		{"drain", "DRAIN", duration(&c.drain)},
	}
}

// readWord takes a word of the tag that says something, and passes over all others.
func (c *config) readWord(word string) {
	for _, s := range c.settings() {
		if value, ok := strings.CutPrefix(word, s.word); ok && s.set(value) == nil {
			return
		}
	}
}

func (c *config) readEnv(env func(string) string) error {
	for _, s := range c.settings() {
		value := env(s.variable)
		if value == "" {
			continue
		}
		if err := s.set(value); err != nil {
			return fmt.Errorf("%s is %q: it must be %w", s.variable, value, err)
		}
	}
	switch value := env("ON_TERM"); value {
	case "":
	case "ignore":
		c.ignoreTerm = true
	default:
		return fmt.Errorf("ON_TERM is %q: it must be empty or \"ignore\"", value)
	}
	return nil
}

func portsOf(list string) ([]string, error) {
	if list == "" {
		return []string{"8080"}, nil
	}
	ports := strings.Split(list, ",")
	for _, p := range ports {
		if _, err := strconv.ParseUint(p, 10, 16); err != nil {
			return nil, fmt.Errorf("PORTS is %q: it must be port numbers with commas between them", list)
		}
	}
	return ports, nil
}

// tag is the part of an image's name after the colon, without a digest.
func tag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	image = image[strings.LastIndex(image, "/")+1:] // a registry's port is no tag
	if _, tag, ok := strings.Cut(image, ":"); ok {
		return tag
	}
	return "latest"
}
