// Two TAPs in a chain (IEEE 1149.1), the first with an IDCODE and a boundary register,
// the second with neither, behind OpenOCD's remote-bitbang protocol on stdin and stdout:
//
//   iverilog -o chain.vvp chain.v && vvp -n chain.vvp
`timescale 1us / 1us

module tap #(
    parameter IRLEN = 4,
    parameter HASID = 1,
    parameter [31:0] ID = 0
) (
    input tck,
    input tms,
    input tdi,
    output tdo,
    output enable
);
  localparam TLR = 0, RTI = 1, SELDR = 2, CAPDR = 3, SHDR = 4, EX1DR = 5, PAUDR = 6, EX2DR = 7, UPDDR = 8,
             SELIR = 9, CAPIR = 10, SHIR = 11, EX1IR = 12, PAUIR = 13, EX2IR = 14, UPDIR = 15;
  localparam [IRLEN-1:0] BYPASS = {IRLEN{1'b1}}, IDCODE = 2, SAMPLE = 1;
  localparam [11:0] PINS = 12'hb52; // what the boundary register samples

  reg [3:0] state = RTI; // any state: the reset has to come from TMS
  reg [IRLEN-1:0] ir = 0, irshift = 0;
  reg [31:0] id = 0;
  reg [11:0] boundary = 0;
  reg bypass = 0;
  reg out = 0, on = 0;

  always @(posedge tck) begin
    case (state)
      CAPIR: irshift <= {{(IRLEN - 2) {1'b0}}, 2'b01};
      SHIR: irshift <= {tdi, irshift[IRLEN-1:1]};
      CAPDR: begin
        bypass <= 1'b0;
        id <= ID;
        boundary <= PINS;
      end
      SHDR: begin
        bypass <= tdi;
        id <= {tdi, id[31:1]};
        boundary <= {tdi, boundary[11:1]};
      end
      default: ;
    endcase
    case (state)
      TLR: state <= tms ? TLR : RTI;
      RTI: state <= tms ? SELDR : RTI;
      SELDR: state <= tms ? SELIR : CAPDR;
      CAPDR: state <= tms ? EX1DR : SHDR;
      SHDR: state <= tms ? EX1DR : SHDR;
      EX1DR: state <= tms ? UPDDR : PAUDR;
      PAUDR: state <= tms ? EX2DR : PAUDR;
      EX2DR: state <= tms ? UPDDR : SHDR;
      UPDDR: state <= tms ? SELDR : RTI;
      SELIR: state <= tms ? TLR : CAPIR;
      CAPIR: state <= tms ? EX1IR : SHIR;
      SHIR: state <= tms ? EX1IR : SHIR;
      EX1IR: state <= tms ? UPDIR : PAUIR;
      PAUIR: state <= tms ? EX2IR : PAUIR;
      EX2IR: state <= tms ? UPDIR : SHIR;
      UPDIR: state <= tms ? SELDR : RTI;
    endcase
  end

  always @(negedge tck) begin
    on <= state == SHIR || state == SHDR;
    if (state == TLR) ir <= HASID ? IDCODE : BYPASS;
    if (state == UPDIR) ir <= irshift;
    if (state == SHIR) out <= irshift[0];
    else if (HASID && ir == IDCODE) out <= id[0];
    else if (HASID && ir == SAMPLE) out <= boundary[0];
    else out <= bypass;
  end

  assign tdo = out;
  assign enable = on;
endmodule

module bench;
  reg tck = 0, tms = 0, tdi = 0;
  wire between, first, enable, enable2;
  tri1 tdo; // pulled up

  // TDI goes to the second, and the first has the chain's TDO.
  tap #(.IRLEN(5), .HASID(0)) second (.tck(tck), .tms(tms), .tdi(tdi), .tdo(between), .enable(enable2));
  tap #(.IRLEN(4), .HASID(1), .ID(32'h149511c3)) one (.tck(tck), .tms(tms), .tdi(between), .tdo(first), .enable(enable));
  assign tdo = enable ? first : 1'bz;

  integer c;
  initial begin
    c = $fgetc(32'h8000_0000);
    while (c >= 0 && c != "Q") begin
      if (c >= "0" && c <= "7") begin
        // TMS and TDI are there before the clock's edge.
        {tms, tdi} = {c[1], c[0]};
        #1 tck = c[2];
        #1;
      end else if (c == "R") begin
        $write("%b", tdo);
        $fflush();
      end
      c = $fgetc(32'h8000_0000);
    end
    $finish(0);
  end
endmodule
