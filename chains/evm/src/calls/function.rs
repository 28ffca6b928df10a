//! Every function that is decoded, with the signature that its selector is the hash of.

macro_rules! families {
    ($($(#[$doc:meta])* $family:ident { $($name:ident = $selector:literal, $signature:literal;)+ })+) => {
        /// A known function, by family of contracts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Function { $($(#[$doc])* $family($family),)+ }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub(crate) enum $family { $(#[doc = $signature] $name,)+ }
        )+

        impl Function {
            /// The function behind a selector (the first four bytes of the signature's Keccak-256, big-endian).
            pub(crate) fn of(selector: [u8; 4]) -> Option<Self> {
                match u32::from_be_bytes(selector) {
                    $($($selector => Some(Self::$family($family::$name)),)+)+
                    _ => None,
                }
            }

            /// Every selector with its signature.
            #[cfg(test)]
            pub(crate) const ALL: &'static [(u32, &'static str)] = &[$($(($selector, $signature),)+)+];
        }
    };
}

families! {
    /// EIP-20, EIP-2612, DAI's older permit and OpenZeppelin's relative approvals.
    Erc20 {
        Transfer = 0xa905_9cbb, "transfer(address,uint256)";
        TransferFrom = 0x23b8_72dd, "transferFrom(address,address,uint256)";
        Approve = 0x095e_a7b3, "approve(address,uint256)";
        IncreaseAllowance = 0x3950_9351, "increaseAllowance(address,uint256)";
        DecreaseAllowance = 0xa457_c2d7, "decreaseAllowance(address,uint256)";
        Permit = 0xd505_accf, "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)";
        DaiPermit = 0x8fcb_af0c, "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)";
    }
    /// EIP-721 and EIP-1155; what they share with EIP-20 is dispatched there.
    Nft {
        SafeTransferFrom = 0x4284_2e0e, "safeTransferFrom(address,address,uint256)";
        SafeTransferFromWithData = 0xb88d_4fde, "safeTransferFrom(address,address,uint256,bytes)";
        SetApprovalForAll = 0xa22c_b465, "setApprovalForAll(address,bool)";
        SafeTransferFromAmount = 0xf242_432a, "safeTransferFrom(address,address,uint256,uint256,bytes)";
        SafeBatchTransferFrom = 0x2eb2_c2d6, "safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)";
    }
    /// Wrapped native assets.
    Weth {
        Deposit = 0xd0e3_0db0, "deposit()";
        Withdraw = 0x2e1a_7d4d, "withdraw(uint256)";
    }
    /// Ownership (EIP-173), roles (OpenZeppelin AccessControl) and proxies (EIP-1967).
    Authority {
        TransferOwnership = 0xf2fd_e38b, "transferOwnership(address)";
        RenounceOwnership = 0x7150_18a6, "renounceOwnership()";
        AcceptOwnership = 0x79ba_5097, "acceptOwnership()";
        GrantRole = 0x2f2f_f15d, "grantRole(bytes32,address)";
        RevokeRole = 0xd547_741f, "revokeRole(bytes32,address)";
        RenounceRole = 0x3656_8abe, "renounceRole(bytes32,address)";
        ChangeAdmin = 0x8f28_3970, "changeAdmin(address)";
        ChangeProxyAdmin = 0x7eff_275e, "changeProxyAdmin(address,address)";
        UpgradeTo = 0x3659_cfe6, "upgradeTo(address)";
        UpgradeToAndCall = 0x4f1e_f286, "upgradeToAndCall(address,bytes)";
        Upgrade = 0x99a8_8ec4, "upgrade(address,address)";
        UpgradeAndCall = 0x9623_609d, "upgradeAndCall(address,address,bytes)";
    }
    /// Safe{Wallet} accounts, versions 1.1 to 1.5.
    Safe {
        ExecTransaction = 0x6a76_1202,
            "execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)";
        ExecTransactionFromModule = 0x4687_21a7, "execTransactionFromModule(address,uint256,bytes,uint8)";
        ExecTransactionFromModuleReturnData = 0x5229_073f,
            "execTransactionFromModuleReturnData(address,uint256,bytes,uint8)";
        AddOwnerWithThreshold = 0x0d58_2f13, "addOwnerWithThreshold(address,uint256)";
        RemoveOwner = 0xf8dc_5dd9, "removeOwner(address,address,uint256)";
        SwapOwner = 0xe318_b52b, "swapOwner(address,address,address)";
        ChangeThreshold = 0x694e_80c3, "changeThreshold(uint256)";
        EnableModule = 0x610b_5925, "enableModule(address)";
        DisableModule = 0xe009_cfde, "disableModule(address,address)";
        SetGuard = 0xe19a_9dd9, "setGuard(address)";
        SetFallbackHandler = 0xf08a_0323, "setFallbackHandler(address)";
        ApproveHash = 0xd4d9_bdcd, "approveHash(bytes32)";
    }
    /// Calls in calls: Uniswap's and OpenZeppelin's `multicall`, Multicall3.
    Multicall {
        Itself = 0xac96_50d8, "multicall(bytes[])";
        ItselfUntil = 0x5ae4_01dc, "multicall(uint256,bytes[])";
        ItselfAfter = 0x1f04_64d1, "multicall(bytes32,bytes[])";
        Aggregate = 0x252d_ba42, "aggregate((address,bytes)[])";
        BlockAndAggregate = 0xc307_7fa9, "blockAndAggregate((address,bytes)[])";
        TryAggregate = 0xbce3_8bd7, "tryAggregate(bool,(address,bytes)[])";
        TryBlockAndAggregate = 0x3995_42e9, "tryBlockAndAggregate(bool,(address,bytes)[])";
        Aggregate3 = 0x82ad_56cb, "aggregate3((address,bool,bytes)[])";
        Aggregate3Value = 0x174d_ea71, "aggregate3Value((address,bool,uint256,bytes)[])";
    }
    /// The Disperse contract and its copies.
    Disperse {
        Ether = 0xe63d_38ed, "disperseEther(address[],uint256[])";
        Token = 0xc73a_2d60, "disperseToken(address,address[],uint256[])";
        TokenSimple = 0x51ba_162c, "disperseTokenSimple(address,address[],uint256[])";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn selectors_are_the_hashes_of_their_signatures() {
        for (selector, signature) in Function::ALL {
            let hash = alloy_primitives::keccak256(signature);
            assert_eq!(
                selector.to_be_bytes(),
                hash[..4],
                "{signature} has {}",
                alloy_primitives::hex::encode(&hash[..4])
            );
            assert!(Function::of(selector.to_be_bytes()).is_some());
        }
        let unique: BTreeSet<_> = Function::ALL.iter().map(|(selector, _)| selector).collect();
        assert_eq!(unique.len(), Function::ALL.len());
        assert_eq!(Function::of([1, 2, 3, 4]), None);
    }
}
