// Runs a script as Argo CD runs its health checks and actions: gopher-lua, with the libraries that it
// opens there, the object as the global `obj`. In: the script's file, the object as JSON on standard
// input. Out: what the script returns, as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	lua "github.com/yuin/gopher-lua"
	luajson "layeh.com/gopher-json"
)

func run(script string, object []byte) ([]byte, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	// In this order: what is opened before the package library cannot be required.
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{
		{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase},
		{lua.TabLibName, lua.OpenTable}, {lua.OsLibName, lua.OpenOs},
	} {
		call := lua.P{Fn: state.NewFunction(library.open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	value, err := luajson.Decode(state, object)
	if err != nil {
		return nil, fmt.Errorf("the object: %w", err)
	}
	state.SetGlobal("obj", value)
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	if state.GetTop() == 0 {
		return nil, fmt.Errorf("the script returns nothing")
	}
	return luajson.Encode(state.Get(-1))
}

func main() {
	script, err := os.ReadFile(os.Args[1])
	if err == nil {
		var object []byte
		if object, err = io.ReadAll(os.Stdin); err == nil {
			if object, err = run(string(script), object); err == nil {
				var shown any
				if err = json.Unmarshal(object, &shown); err == nil {
					err = json.NewEncoder(os.Stdout).Encode(shown)
				}
			}
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
