// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// As little of ERC-20 as a withdrawal meets: the deployer owns the whole supply and may pass it on.
contract Demo {
    string public constant symbol = "DEMO";
    uint8 public constant decimals = 6;
    uint256 public constant totalSupply = 1_000_000e6;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);

    constructor() {
        balanceOf[msg.sender] = totalSupply;
        emit Transfer(address(0), msg.sender, totalSupply);
    }

    function transfer(address to, uint256 value) external returns (bool) {
        balanceOf[msg.sender] -= value; // checked: reverts when the balance is short
        balanceOf[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }
}
