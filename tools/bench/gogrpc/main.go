// A peer of tools/bench/rpc: grpc-go as Debian packages it, server and client, with the messages
// that its own generators make.
//
//	gogrpc server PATH
//	gogrpc client PATH CALLS BYTES              nanoseconds, one call a line
//	gogrpc load PATH CALLS BYTES IN_FLIGHT      "CALLS NANOSECONDS" of all together
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"echo"
)

const (
	warmUpCalls = 200
	timeout     = 30 * time.Second
)

type service struct {
	echo.UnimplementedEchoServiceServer
}

func (service) Echo(_ context.Context, request *echo.EchoRequest) (*echo.EchoResponse, error) {
	return &echo.EchoResponse{Payload: request.Payload}, nil
}

func serve(path string) error {
	server := grpc.NewServer()
	echo.RegisterEchoServiceServer(server, service{})
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	return server.Serve(listener)
}

func connect(path string) (echo.EchoServiceClient, error) {
	connection, err := grpc.Dial("unix:"+path, grpc.WithInsecure(), grpc.WithBlock(), grpc.WithTimeout(timeout))
	if err != nil {
		return nil, err
	}
	return echo.NewEchoServiceClient(connection), nil
}

func call(client echo.EchoServiceClient, request *echo.EchoRequest) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	response, err := client.Echo(ctx, request)
	if err == nil && len(response.Payload) != len(request.Payload) {
		err = fmt.Errorf("an answer of %d bytes", len(response.Payload))
	}
	return err
}

func oneByOne(client echo.EchoServiceClient, request *echo.EchoRequest, calls int) error {
	times := make([]time.Duration, 0, calls)
	for i := -warmUpCalls; i < calls; i++ {
		began := time.Now()
		if err := call(client, request); err != nil {
			return err
		}
		if i >= 0 {
			times = append(times, time.Since(began))
		}
	}
	out := bufio.NewWriter(os.Stdout)
	for _, took := range times {
		fmt.Fprintln(out, took.Nanoseconds())
	}
	return out.Flush()
}

func manyInFlight(client echo.EchoServiceClient, request *echo.EchoRequest, calls, inFlight int) error {
	var group sync.WaitGroup
	var failure atomic.Value
	left := int64(calls)
	began := time.Now()
	for i := 0; i < inFlight; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for atomic.AddInt64(&left, -1) >= 0 {
				if err := call(client, request); err != nil {
					failure.Store(err)
					return
				}
			}
		}()
	}
	group.Wait()
	if err, failed := failure.Load().(error); failed {
		return err
	}
	fmt.Println(calls, time.Since(began).Nanoseconds())
	return nil
}

func run(arguments []string) error {
	if len(arguments) == 3 && arguments[1] == "server" {
		return serve(arguments[2])
	}
	if len(arguments) < 5 {
		return fmt.Errorf("usage: gogrpc server PATH | client PATH CALLS BYTES | load PATH CALLS BYTES IN_FLIGHT")
	}
	numbers := make([]int, 0, 3)
	for _, word := range arguments[3:] {
		number, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		numbers = append(numbers, number)
	}
	client, err := connect(arguments[2])
	if err != nil {
		return err
	}
	request := &echo.EchoRequest{Payload: make([]byte, numbers[1])}
	if arguments[1] == "load" && len(numbers) == 3 {
		return manyInFlight(client, request, numbers[0], numbers[2])
	}
	return oneByOne(client, request, numbers[0])
}

func main() {
	if err := run(os.Args); err != nil {
		log.Fatal(err)
	}
}
